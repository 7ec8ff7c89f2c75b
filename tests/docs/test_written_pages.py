"""The pages that commands write into have the places for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.document import replace_part

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = re.findall(
    r"-m benchmarks\.(\w+) .*--write (\S+)", (ROOT / "Makefile").read_text("utf-8")
)


def test_three_targets_of_make_write_pages():
    assert sorted(name for name, _ in WRITTEN) == ["evidence", "remedies", "zoo"]


@pytest.mark.parametrize(("name", "page"), WRITTEN)
def test_the_page_has_a_part_to_write(name, page):
    text = (ROOT / page).read_text("utf-8")
    assert "\n\nfigures\n\n" in replace_part(text, name, ["figures"])
