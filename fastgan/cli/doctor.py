"""`fastgan doctor`: versions, and the backends that are usable on each device."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from fastgan.cli.parse import parse
from fastgan.cli.tables import print_tables
from fastgan.ops import backends
from fastgan.runtime import threads, versions


@dataclass(frozen=True)
class DoctorOptions:
    """Show versions, and the backends that are usable, or why they aren't and what to do."""


def run(arguments: list[str]) -> int:
    """Run `fastgan doctor` with these arguments, and return the exit status."""
    parse(DoctorOptions, arguments, prog="fastgan doctor")
    print_tables(_versions(), "", _backends())
    return 0


def _versions() -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, version in versions().items():
        table.add_row(name, version)
    table.add_row("threads", threads())
    return table


def _backends() -> Table:
    table = Table(
        "backend", "usable", "devices", "why not, and what to do", box=None, padding=(0, 2, 0, 0)
    )
    for status in backends().values():
        problem = "" if status.usable else f"{status.reason}: {status.remedy}"
        table.add_row(
            status.name, "yes" if status.usable else "no", ", ".join(status.devices), problem
        )
    return table
