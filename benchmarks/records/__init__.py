"""Figures that the repository keeps: a JSON file for each run, with the tables as printed.

:func:`record_of` makes a record of a run's results; :mod:`benchmarks.report` saves it and writes
the pages of all records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import table
from benchmarks.chart import floor_title, scaling_caption
from benchmarks.results import RunResults

FOLDER = Path(__file__).parent
# An array of texts, which is written on one line: a table's row.
TEXTS = re.compile(r'\[\s+"(?:[^"\\]|\\.)*"(?:,\s+"(?:[^"\\]|\\.)*")*\s+\]')


@dataclass(frozen=True)
class Block:
    """One table or list of a run, with the sentence above it.

    Args:
        op: the op or the step that was measured.
        kind: ``times``, ``errors``, ``memory``, ``growth``, ``crossover``, ``host``, or
            ``session`` for a table of a GPU session and ``short`` for its rows on the short page.
        caption: the sentence above the table.
        columns: the table's header; empty where there are only lines.
        rows: the table's cells as text, so that every digit stays as it was printed.
        lines: what stands below the table, or in its place.
        picture: name of the picture in ``docs/images``, without its ending; empty for none.
        picture_title: the text that replaces the picture.
    """

    op: str
    kind: str
    caption: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    picture: str = ""
    picture_title: str = ""

    def row(self, case: str, measure: str) -> list[str]:
        """Return the row of a case, whose name may stand before a shape.

        Raises:
            LookupError: there is no such row.
        """
        for row in self.rows:
            if (row[0] == case or row[0].startswith(f"{case} ")) and row[1] == measure:
                return row
        raise LookupError(f"{self.op} has no row {case!r}, {measure!r}")

    def disturbed(self, row: Sequence[str]) -> bool:
        """Return whether other work got in the way of a row: a spread above its median."""
        if "spread" not in self.columns:
            return False
        return float(row[self.columns.index("spread")].removesuffix("%")) > 100


@dataclass(frozen=True)
class Record:
    """One run: its machine and versions, its tables, and remarks of those who ran it."""

    environment: dict[str, str]
    blocks: list[Block]
    remarks: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        text = TEXTS.sub(lambda found: re.sub(r"\s*\n\s*", " ", found[0]), text)
        path.write_text(text + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Record:
        data = json.loads(path.read_text("utf-8"))
        blocks = [Block(**block) for block in data["blocks"]]
        return cls(data["environment"], blocks, data["remarks"])


def load_records(folder: Path = FOLDER) -> dict[str, Record]:
    """Return every record of the folder by its file's name, in the order of the names."""
    return {path.stem: Record.load(path) for path in sorted(folder.glob("[cg]pu-*.json"))}


def record_of(results: RunResults) -> Record:
    """Return the tables of a run as a record."""
    return Record(dict(results.environment), list(_blocks(results)))


def _blocks(results: RunResults) -> Iterator[Block]:
    for op, comparisons, memory in results.by_op():
        if comparisons:
            dtype = comparisons[0].dtype
            yield Block(
                op,
                "times",
                f"{op}, {dtype}; {table.floors_said(comparisons, copy='`copy_`')}.",
                *table.timing_table(comparisons, results.sides),
                lines=table.reasons(comparisons),
                picture=op,
                picture_title=f"{op}: time in multiples of {floor_title(comparisons)}",
            )
            if table.errors_matter(comparisons):
                caption = f"{op}, {dtype}, {table.ERRORS}:"
                yield Block(op, "errors", caption, *table.error_table(comparisons, results.sides))
        if memory:
            caption = f"{op}, {memory[0].dtype}, {table.memory_title(memory)}:"
            yield Block(op, "memory", caption, *table.memory_table(memory, results.sides))
        if points := results.scaling_of(op):
            yield Block(
                op,
                "growth",
                f"{op}, {points[0].dtype}, {table.scaling_title(points)}:",
                lines=table.scaling_lines(points),
                picture=f"{op}-scaling",
                picture_title=f"{op}: {scaling_caption(points)}",
            )
        if points := results.crossover_of(op):
            caption = f"{op}, {points[0].dtype}, {table.CROSSOVER}:"
            yield Block(op, "crossover", caption, *table.crossover_table(points))
    if results.host:
        yield Block("host", "host", f"{table.HOST}:", *table.host_table(results.host))
