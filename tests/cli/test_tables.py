"""Tables in a file have a line for each row, however wide or narrow a terminal is said to be."""

from __future__ import annotations

import pytest
from rich.table import Table

from fastgan.cli.tables import print_tables


def a_table() -> Table:
    table = Table("measure", "what it says", box=None)
    table.add_row(
        "fd_mobilenet_v2",
        "a sentence of many words, as those that say why something can't be used here",
    )
    return table


@pytest.mark.parametrize("columns", [None, "1", "40", "80", "5000"])
def test_a_row_is_a_line_where_there_is_no_terminal(monkeypatch, capsys, columns):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    print_tables(a_table(), "", a_table())
    head, row, between, *_ = lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and head.split() == ["measure", "what", "it", "says"] and not between
    assert (
        row.split(maxsplit=1)[1]
        == "a sentence of many words, as those that say why something can't be used here"
    )
    assert not any(line.endswith(" ") for line in lines)


def test_a_terminal_wraps(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    print_tables(a_table())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
