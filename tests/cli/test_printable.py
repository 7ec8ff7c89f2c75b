"""Names for terminals, encoders, shells and JSON."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from fastgan.names import (
    encodable,
    local_name,
    never_fail,
    plain_folder,
    portable_name,
    printable,
    shell_word,
)
from fastgan.training.progress import say


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain name.png", "plain name.png"),
        ("café × 😀 👩\u200d🎨 日本", "café × 😀 👩\u200d🎨 日本"),
        ("<b>[red]:smile: 100% $x", "<b>[red]:smile: 100% $x"),
        ("caf\udce9", r"caf\xe9"),
        ("caf\udcc3\udca9", "café"),
        ("a\ud800b\udfffc", r"a\ud800b\udfffc"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x1b[2J\x07\x7f\x9b", r"\x1b[2J\x07\x7f\x9b"),
        ("gnp.\u202eexe\u2028\u2066", r"gnp.\u202eexe\u2028\u2066"),
        ("", ""),
    ],
)
def test_printable(name, shown):
    assert printable(name) == shown
    assert printable(Path("x", name)) == (f"x/{shown}" if shown else "x")
    assert printable(shown) == shown
    shown.encode()


def test_every_byte_is_printable():
    name = os.fsdecode(bytes(range(1, 256)))
    assert printable(name).isprintable() and printable(name).encode()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
def test_any_stream_takes_any_text(encoding):
    text = "3×8 – 1 … ± → “x” ≥ 日 😀 \udce9 \ud800"
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    never_fail(stream)
    stream.write(text)
    stream.flush()
    assert raw.getvalue().decode(encoding) == encodable(text, encoding)
    assert r"\xe9" in encodable(text, encoding)
    never_fail(io.StringIO())  # a stream without an encoding is left alone


def test_signs_have_plain_spellings():
    assert encodable("3×8 – … ± → ’ é", "ascii") == r"3x8 - ... +/- -> ' \xe9"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_console_says_a_line_as_it_is(encoding):
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding), width=20, force_terminal=False)
    line = "[red]x[/red] :smile: 3×3 \\[b] " + "long " * 20
    say(console, line + "\x1b[2J\udce9\n")
    console.file.flush()
    expected = line.replace("×", "x") if encoding == "ascii" else line
    assert raw.getvalue().decode(encoding) == expected + r"\x1b[2J\xe9\n" + "\n"


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "two words",
        "-dash",
        "it's",
        'a"b$c`d!',
        "new\nline",
        "caf\udce9",
        "\udcff'\\\x1b",
        "日本😀\n",
        "",
    ],
)
def test_bash_reads_a_shell_word_back(name):
    word = shell_word(name)
    assert printable(word) == word
    script = f"printf '%s' {word}".encode()
    read = subprocess.run(["bash", "-c", script], capture_output=True, env={"LC_ALL": "C"}).stdout
    assert read == os.fsencode(f"./{name}" if name.startswith("-") else name)


@pytest.mark.parametrize("name", ["plain", "café", "caf\udce9", "日本", "\ud800"])
def test_a_stored_name_is_opened_again(name):
    assert local_name(portable_name(name)) == name


def test_a_name_is_stored_alike_in_every_locale(monkeypatch):
    here = portable_name("café\udce9")
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("ascii", "surrogateescape"))
    monkeypatch.setattr(os, "fsdecode", lambda name: name.decode("ascii", "surrogateescape"))
    assert portable_name("caf\udcc3\udca9\udce9") == here == "café\udce9"
    assert local_name(here) == "caf\udcc3\udca9\udce9"
    assert portable_name("é") == "é"  # nothing that this process could open


@pytest.mark.skipif(os.name != "posix", reason="elsewhere names are text")
@pytest.mark.parametrize("name", ["caf\udce9", "back\\slash", "new\nline", "plain"])
def test_a_folder_has_a_plain_path_for_libraries(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    with plain_folder(folder) as path:
        str(path).encode()
        assert "\\" not in str(path)
        (path / "x").write_text("there")
        assert (path == folder) == (name in ("plain", "new\nline"))
    assert (folder / "x").read_text() == "there" and (path.exists() == (path == folder))
