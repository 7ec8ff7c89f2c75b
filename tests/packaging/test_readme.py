"""The Python examples of the documentation run as they stand, with fewer images."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# tests/learn runs the learning pages, with fewer images.
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.parent.name != "learn" and "```python\n" in page.read_text("utf-8")
]


def test_the_pages_have_examples():
    assert len(PAGES) > 8


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what they write
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:  # one after the other: later ones use what earlier ones made
        short = re.sub(r"images=\d+_000\b", "images=320", block)
        exec(compile(short, page.name, "exec"), names)
