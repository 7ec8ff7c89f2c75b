"""The parts of the project that are written in plain English stay so."""

from __future__ import annotations

import pytest

from tests import language

PLAIN = ("benchmarks", "csrc", "docs/conf.py", "fastgan", "tests", "tools")
"""Files and folders that are checked."""


@pytest.mark.parametrize("name", PLAIN)
def test_texts_are_plain(name):
    found = language.findings([language.ROOT / name])
    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ('"""Whether x holds."""', "docstring starts with 'Whether'"),
        ('"""A' + " b" * 25 + '."""', "sentence of 26 words"),
        (f'raise ValueError("0 {language.CAME}")', 'write "got"'),
        ("x = 1  # " + "y" * 92, "line has 101 columns"),
    ],
)
def test_each_rule_finds(tmp_path, monkeypatch, text, finding):
    monkeypatch.setattr(language, "ROOT", tmp_path)
    path = tmp_path / "example.py"
    path.write_text(text + "\n")
    (found,) = language.findings([path])
    assert finding in str(found)


def test_a_comment_block_of_cpp_is_a_docstring(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "ROOT", tmp_path)
    path = tmp_path / "example.cpp"
    path.write_text("// Whether x holds.\nint x = 1;\n// Number of rows.\nint y = 2;\n")
    assert [finding.line for finding in language.findings([path])] == [1]


def test_a_plain_text_has_no_findings(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "ROOT", tmp_path)
    path = tmp_path / "example.py"
    path.write_text('"""Return x.\n\nArgs:\n    x: the width in pixels.\n"""\n')
    assert not language.findings([path])
