"""Tables on a terminal, in a file and in a pipe."""

from __future__ import annotations

from rich.console import Console, RenderableType

WIDE = 1000
"""Columns outside of a terminal, so that a row is a line for grep."""


def print_tables(*tables: RenderableType) -> None:
    """Print tables and lines, wrapped on a terminal, elsewhere a line for each row."""
    terminal = Console()
    console = Console(width=terminal.width if terminal.is_terminal else WIDE)
    with console.capture() as capture:
        console.print(*tables)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))
