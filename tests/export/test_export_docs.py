"""The table of docs/export.md, which is written from what recipes declare."""

from __future__ import annotations

from pathlib import Path

from fastgan.recipes import RECIPES
from tests.export.every_recipe import build

PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"
START, END = "<!-- table: tests/export/test_export_docs.py -->\n", "<!-- end -->\n"


def listed(ports):
    return "; ".join(f"`{port.name}`: {port.meaning}" for port in ports)


def table():
    """Return the table as the page has it: a row for networks that are declared alike."""
    rows = {}
    for recipe in RECIPES:
        made, images = build(recipe)
        for name, each in made.signatures(made.build_networks(images), images).items():
            sizes = "the images'" if each.sizes is None else "open"
            row = name, listed(each.inputs), listed(each.outputs), sizes
            rows.setdefault(row, []).append(recipe)
    lines = ["| recipes | network | takes | gives | height and width |", "|---|---|---|---|---|"]
    lines += [f"| {', '.join(recipes)} | {' | '.join(row)} |" for row, recipes in rows.items()]
    return "\n".join(lines) + "\n"


def test_the_page_says_what_recipes_declare():
    written = PAGE.read_text().partition(START)[2].partition(END)[0]
    assert written == table(), f"write this between the comments of {PAGE.name}:\n{table()}"
