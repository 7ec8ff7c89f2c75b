"""The zoo: a row for every recipe, and the page from what the runs came to."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import torch

from benchmarks.zoo.entries import ENTRIES, IMAGES
from benchmarks.zoo.page import write_page
from benchmarks.zoo.run import Outcome, load_outcome, outcome_file
from fastgan.data import save_png
from fastgan.recipes import RECIPES


def test_every_recipe_of_noise_has_a_row_that_its_command_makes():
    assert {entry.name for entry in ENTRIES} == {
        name for name, recipe in RECIPES.items() if not recipe.translates
    }
    for entry in ENTRIES:
        assert entry.recipe.name == entry.name and entry.recipe.images == entry.images
        assert entry.images == IMAGES or entry.why
        assert entry.command.startswith(f"fastgan train {entry.name} --data mnist5k")


@pytest.fixture
def outcome(tmp_path):
    """One entry's folder as `run_entry` leaves it."""
    entry = ENTRIES[0]
    (tmp_path / entry.name / "run").mkdir(parents=True)
    rows = [{"nimg": n, "seconds": n / 100, "loss/D": 1.0, "loss/G": 0.7, "D(real)": 0.5} for n in (100, 200)]
    (tmp_path / entry.name / "run" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_png(tmp_path / entry.name / "grid.png", torch.zeros(1, 8, 16, dtype=torch.uint8))
    before = {"classes_hit": 1, "kl_to_uniform": 2.3026, "fd_mobilenet_v2": 340.25}
    after = {"classes_hit": 10, "kl_to_uniform": 0.125, "fd_mobilenet_v2": 61.5}
    made = Outcome(entry.name, entry.command, 30_016, 334.4, {"G": 1234, "D": 567}, 2_000, before, after)
    outcome_file(tmp_path, entry).write_text(json.dumps(asdict(made)))
    return made


def test_the_page_holds_the_figures_and_pictures(tmp_path, outcome):
    page = tmp_path / "docs" / "gans.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- zoo: begin -->\nold\n<!-- zoo: end -->\nafter\n")
    write_page(page, tmp_path, [(ENTRIES[0], outcome)])
    text = page.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| [`gan`]"))
    assert [cell.strip() for cell in row.split("|")[2:-1]] == [
        "1,234", "567", "30,016", "334", "10", "0.125", "2.303", "61.5", "340.2",
    ]  # fmt: skip
    assert outcome.command in text and "old" not in text and text.endswith("after\n")
    for name in ("gan.png", "gan-curves.png"):
        assert (page.parent / "images" / "gans" / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_done_is_kept_for_the_same_command_alone(tmp_path, outcome):
    assert load_outcome(tmp_path, ENTRIES[0]) == outcome
    assert load_outcome(tmp_path, replace(ENTRIES[0], options="--lr 1e-3")) is None
    assert load_outcome(tmp_path, ENTRIES[1]) is None
