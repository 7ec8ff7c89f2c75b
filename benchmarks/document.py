"""Text tables, and parts of a Markdown file that a command writes between two named comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Rows = list[list[str]]


class MissingMarkers(ValueError):
    """The file doesn't contain the two comments."""


def plain(header: Sequence[str], rows: Rows) -> list[str]:
    """Return lines of aligned columns: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(row: Sequence[str]) -> str:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
        ]
        return "  ".join(cells).rstrip()

    lines = [line(row) for row in (header, *rows)]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def markdown(header: Sequence[str], rows: Rows, *, text: int = 1) -> list[str]:
    """Return a table; its first ``text`` columns are aligned to the left, others to the right."""
    lines = [header, ["---"] * text + ["---:"] * (len(header) - text), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def replace_part(text: str, name: str, lines: Sequence[str]) -> str:
    """Return ``text`` with new lines between ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises:
        MissingMarkers: a comment is missing, or they are in the wrong order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise MissingMarkers(
            f"expected the comments {begin} and {end}, in this order, around the part to write"
        )
    return "\n".join([before + begin, "", *lines, "", end + after])


def write_part(path: Path, name: str, lines: Sequence[str]) -> None:
    """Apply :func:`replace_part` to a file."""
    path.write_text(replace_part(path.read_text(), name, lines))
