"""Links between the pages of the repository lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "fastgan").rglob("*.md"),
        *(ROOT / "tests").rglob("*.md"),
    ]
)
FENCE = re.compile(r"^(`{3,})[^`].*?^\1[ ]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\))?)\)")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "`code`", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*?) *$", FENCE.sub("", text), re.MULTILINE)
    names: list[str] = []
    for heading in headings:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        names.append(f"{name}-{names.count(name)}" if name in names else name)
    return set(names)


def broken_links(page: Path) -> list[str]:
    """Targets of the page's links that aren't there, among those into the repository."""
    broken = []
    for target in LINK.findall(without_code(page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        known = file.exists() and (
            not anchor or file.suffix != ".md" or anchor in anchors(file.read_text("utf-8"))
        )
        if not known:
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert not broken_links(page)


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "other.md").write_text("# A heading: with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-heading-with-code) [c](#here)\n"
        "[d](gone.md) [e](other.md#no)\n"
        "`[f](gone.md)` <https://example.org> [g](https://example.org)\n\n## Here\n"
        "```sh\n[h](gone.md)\n```\n"
    )
    assert broken_links(page) == ["gone.md", "other.md#no"]


def test_every_page_is_in_the_navigation():
    """But for those of a folder that the navigation takes whole."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = (
        path.relative_to(ROOT / "docs") for path in PAGES if path.is_relative_to(ROOT / "docs")
    )
    named = [str(page.with_suffix("")) for page in pages if page.parts[0] != "maths"]
    missing = [page for page in named if page != "index" and f"\n{page}\n" not in index]
    assert not missing


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_no_line_is_wider_than_a_hundred_columns(name):
    lines = (ROOT / name).read_text("utf-8").splitlines()
    assert [line for line in lines if len(line) > 100] == []
