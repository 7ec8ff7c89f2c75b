"""Text tables, and parts of a Markdown file that a command writes: between two comments that name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Rows = list[list[str]]


class MissingMarkers(ValueError):
    """The file does not hold the two comments."""


def plain(header: Sequence[str], rows: Rows) -> list[str]:
    """Lines of aligned columns; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(row: Sequence[str]) -> str:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
        ]
        return "  ".join(cells).rstrip()

    lines = [line(row) for row in (header, *rows)]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def markdown(header: Sequence[str], rows: Rows) -> list[str]:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def replace_part(text: str, name: str, lines: Sequence[str]) -> str:
    """``text`` with what stands between ``<!-- name: begin -->`` and ``<!-- name: end -->`` replaced.

    Raises:
        MissingMarkers: a comment is missing, or they stand in the wrong order.
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
    """:func:`replace_part` in a file."""
    path.write_text(replace_part(path.read_text(), name, lines))
