"""The parts of the project that are written in plain English stay so."""

from __future__ import annotations

import pytest

from tests import language

PLAIN: tuple[str, ...] = (
    "benchmarks",
    "csrc",
    "docs/conf.py",
    "fastgan/_torch_private.py",
    "fastgan/augment",
    "fastgan/cli",
    "fastgan/compat",
    "fastgan/data",
    "fastgan/diagnose",
    "fastgan/errors.py",
    "fastgan/evaluation",
    "fastgan/export",
    "fastgan/files.py",
    "fastgan/foreign",
    "fastgan/inference",
    "fastgan/latent",
    "fastgan/layers.py",
    "fastgan/learn",
    "fastgan/losses",
    "fastgan/metrics",
    "fastgan/names.py",
    "fastgan/networks",
    "fastgan/nn",
    "fastgan/ops",
    "fastgan/recipes",
    "fastgan/runtime.py",
    "fastgan/seeds.py",
    "fastgan/trained",
    "fastgan/training",
    "tests/augment",
    "tests/backends.py",
    "tests/benchmarks",
    "tests/compat",
    "tests/conftest.py",
    "tests/data",
    "tests/diagnose",
    "tests/docs",
    "tests/emulation",
    "tests/export",
    "tests/inference",
    "tests/language.py",
    "tests/latent",
    "tests/learn",
    "tests/learning/__init__.py",
    "tests/learning/__main__.py",
    "tests/learning/catalogue.py",
    "tests/learning/digits.py",
    "tests/learning/experiment.py",
    "tests/learning/records.py",
    "tests/learning/shape_kinds.py",
    "tests/learning/striped.py",
    "tests/learning/test_learning.py",
    "tests/learning/test_records.py",
    "tests/learning/worker.py",
    "tests/losses",
    "tests/metrics",
    "tests/networks",
    "tests/nn",
    "tests/ops",
    "tests/packaging",
    "tests/recipes",
    "tests/sources.py",
    "tests/specs",
    "tests/test_language.py",
    "tests/test_torch_private.py",
    "tests/tiers.py",
    "tests/trained",
    "tests/training",
    "tools",
)
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
