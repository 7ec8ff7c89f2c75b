"""The page on errors lists every class that a user may catch."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

from fastgan.errors import FastganError

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"SettingError", "UsageError"}
"""A base class that the text names, and the error of command lines."""


def test_the_page_lists_every_error():
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    listed = re.findall(r"^\| `(fastgan[\w.]*)\.(\w+)` \|", page, re.MULTILINE)
    for module, name in listed:
        assert issubclass(getattr(import_module(module), name), FastganError), name
    bases: dict[str, set[str]] = {}
    for path in (ROOT / "fastgan").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {base.id for base in node.bases if isinstance(base, ast.Name)}
    errors = {"FastganError"}
    while more := {name for name, of in bases.items() if of & errors} - errors:
        errors |= more
    assert {name for _, name in listed} == errors - ELSEWHERE
