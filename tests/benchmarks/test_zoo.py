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


def test_every_recipe_has_a_row_that_its_command_makes():
    assert sorted(entry.name for entry in ENTRIES) == sorted(RECIPES)
    for entry in ENTRIES:
        assert entry.recipe.name == entry.name and entry.recipe.images == entry.images
        data = "shapes" if entry.recipe.translates else "mnist5k"
        assert entry.command.startswith(f"fastgan train {entry.name} --data {data} --resolution 32 ")
        assert entry.recipe.translates or entry.images == IMAGES or entry.why


def finished(root, entry, before, after, **more):
    """An entry's folder as `run_entry` leaves it; what it came to."""
    (root / entry.name / "run").mkdir(parents=True)
    rows = [{"nimg": n, "seconds": n / 100, "loss/D": 1.0, "loss/G": 0.7, "D(real)": 0.5} for n in (100, 200)]
    (root / entry.name / "run" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_png(root / entry.name / "grid.png", torch.zeros(1, 8, 16, dtype=torch.uint8))
    parameters = {"G": 1234, "D": 567, "pool": 0} | more.pop("parameters", {})
    made = Outcome(entry.name, entry.command, 30_016, 334.4, parameters, 2_000, before, after, **more)
    kept = {name: value for name, value in asdict(made).items() if name != "views" or value}
    outcome_file(root, entry).write_text(json.dumps(kept))
    return made


@pytest.fixture
def outcome(tmp_path):
    before = {"classes_hit": 1, "kl_to_uniform": 2.3026, "fd_mobilenet_v2": 340.25}
    after = {"classes_hit": 10, "kl_to_uniform": 0.125, "fd_mobilenet_v2": 61.5}
    return finished(tmp_path, ENTRIES[0], before, after)


@pytest.fixture
def page(tmp_path):
    """A document to be written."""
    found = tmp_path / "docs" / "gans.md"
    found.parent.mkdir()
    found.write_text("before\n<!-- zoo: begin -->\nold\n<!-- zoo: end -->\nafter\n")
    return found


def cells(text, name):
    row = next(line for line in text.splitlines() if line.startswith(f"| [`{name}`]"))
    return [cell.strip() for cell in row.split("|")[2:-1]]


def test_the_page_holds_the_figures_and_pictures(tmp_path, page, outcome):
    write_page(page, tmp_path, [(ENTRIES[0], outcome)])
    text = page.read_text()
    assert cells(text, "gan") == ["1,234", "567", "30,016", "334", "10", "0.125", "2.303", "61.5", "340.2"]
    assert outcome.command in text and "old" not in text and text.endswith("after\n")
    assert "## Noise to image" in text and "## Image to image" not in text
    for name in ("gan.png", "gan-curves.png"):
        assert (page.parent / "images" / "gans" / name).read_bytes().startswith(b"\x89PNG")


def test_recipes_between_images_have_a_table_of_their_own(tmp_path, page, outcome):
    of = {entry.name: entry for entry in ENTRIES}
    before, after = {"fd_mobilenet_v2": 340.25}, {"fd_mobilenet_v2": 61.5}
    near = {
        "l1": 0.05,
        "l1_of_input": 0.5,
        "psnr": 25.0,
        "psnr_of_input": 10.0,
        "ssim": 0.91234,
        "perceptual": 0.25,
    }
    paired = finished(tmp_path, of["pix2pix"], before, after | near, views=["input", "output", "target"])
    players = {"G": 0, "D": 0, "G_AB": 1000, "G_BA": 234, "D_A": 500, "D_B": 67}
    unpaired = finished(tmp_path, of["cyclegan"], before, after, parameters=players)
    write_page(page, tmp_path, [(ENTRIES[0], outcome), (of["pix2pix"], paired), (of["cyclegan"], unpaired)])
    text = page.read_text()
    cost, distance = ["1,234", "567", "30,016", "334"], ["61.5", "340.2"]
    shown = ["0.05 (input 0.5)", "25 (input 10)", "0.9123", "0.25"]
    assert cells(text, "pix2pix") == [*cost, *shown, *distance]
    assert cells(text, "cyclegan") == [*cost, *"––––", *distance]
    assert text.index("`gan`") < text.index("## Image to image") < text.index("[`pix2pix`]")
    assert text.count("Rows, in turn: input, output, target.") == 1


def test_what_is_done_is_kept_for_the_same_command_alone(tmp_path, outcome):
    assert load_outcome(tmp_path, ENTRIES[0]) == outcome
    assert load_outcome(tmp_path, replace(ENTRIES[0], options="--lr 1e-3")) is None
    assert load_outcome(tmp_path, ENTRIES[1]) is None
