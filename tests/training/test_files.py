"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastgan.files import is_temporary, replacing, write_atomic


def test_processes_that_write_one_file_at_once(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "results.json"

    def parts():
        yield b"the last "
        with monkeypatch.context() as other:
            other.setattr(os, "getpid", lambda: 1)
            write_atomic(path, [b"the first to finish"])
        assert path.read_bytes() == b"the first to finish"
        yield b"to finish"

    write_atomic(path, parts())
    assert path.read_bytes() == b"the last to finish"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_older_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("older")

    def parts():
        yield b"half"
        (litter,) = (p for p in tmp_path.iterdir() if p != path)
        assert is_temporary(litter.name, path) and not is_temporary(path.name, path)
        assert not is_temporary(litter.name, tmp_path / "onfig.json")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, parts())
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("config.json", "older")]


def test_a_plain_temporary_name_has_the_ending_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "Bücher.gif"
    with replacing(path, plain=".gif") as temporary:
        assert temporary.name.isascii() and temporary.suffix == ".gif"
        temporary.write_bytes(b"whole")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("Bücher.gif", b"whole")]
    with pytest.raises(KeyboardInterrupt), replacing(path, plain=".gif") as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("Bücher.gif", b"whole")]
