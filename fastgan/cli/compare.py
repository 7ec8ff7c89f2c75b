"""`fastgan compare RUN RUN …`: runs side by side, as a table and as a page."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import tyro
from rich.table import Column, Table
from rich.text import Text

from fastgan.cli import UsageError, say
from fastgan.cli.parse import parse
from fastgan.cli.tables import print_tables
from fastgan.names import printable
from fastgan.training.comparison import Line, compare, read_runs, write_comparison


@dataclass(frozen=True)
class CompareOptions:
    """Show runs side by side: settings that differ, measures, speed, curves and samples."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """The --out folders of two or more runs."""
    out: str | None = None
    """HTML file for the table, curves and samples; it needs nothing beside itself."""


def run(arguments: list[str]) -> int:
    """Run `fastgan compare` with these arguments, and return the exit status."""
    options = parse(CompareOptions, arguments, prog="fastgan compare")
    if len(options.runs) < 2:
        raise UsageError(f"RUNS must be two runs or more, got {len(options.runs)}.")
    if options.out is not None and Path(options.out).suffix.lower() != ".html":
        raise UsageError(f"--out must be a file that ends in .html, got {options.out!r}.")
    runs = read_runs(options.runs)
    print_tables(_table([run.name for run in runs], compare(runs)))
    if options.out is not None:
        write_comparison(Path(options.out), runs)
        say(f"Made {options.out}.")
    return 0


def _table(names: list[str], lines: list[Line]) -> Table:
    table = Table("", *(Column(_cell(name)) for name in names), box=None, padding=(0, 2, 0, 0))
    for _, group in groupby(lines, key=lambda line: line.kind):
        for line in group:
            table.add_row(line.name, *map(_cell, line.values))
        table.add_row()
    return table


def _cell(text: str) -> Text:
    """Return a cell without rich's markup and emoji."""
    return Text(printable(text))
