"""Tables on a terminal, in a file and in a pipe."""

from __future__ import annotations

from rich.console import Console, RenderableType

WIDE = 1000  # columns: a line a row, for grep


def print_tables(*tables: RenderableType) -> None:
    """Print tables and lines: wrapped to fit a terminal, elsewhere a line a row whatever COLUMNS says."""
    terminal = Console()
    console = Console(width=terminal.width if terminal.is_terminal else WIDE)
    with console.capture() as capture:
        console.print(*tables)
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))
