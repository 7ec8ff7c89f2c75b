"""The zoo: a row for every recipe, and the page of the runs' results."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks.machine import commit
from benchmarks.zoo.entries import ENTRIES, IMAGES
from benchmarks.zoo.page import write_page
from benchmarks.zoo.run import Outcome, load_outcome, outcome_file
from fastgan.cli.train import parse_run
from fastgan.data import save_png
from fastgan.recipes import RECIPES


def test_every_recipe_has_a_row_that_its_command_makes():
    assert sorted(entry.name for entry in ENTRIES) == sorted(RECIPES)
    for entry in ENTRIES:
        recipe, run = parse_run(entry.name, entry.arguments)
        assert recipe.name == entry.name and run.total_images == entry.images
        assert run.data == ("shapes" if recipe.translates else "mnist5k")
        assert run.resolution == (16 if entry.name == "stargan" else 32)
        assert recipe.translates or entry.images == IMAGES or entry.why


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_command_sets_each_option_once(entry):
    options = [word for word in entry.arguments if word.startswith("--")]
    assert len(options) == len(set(options)), entry.command


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_page_has_the_command(entry):
    page = (Path(__file__).resolve().parents[2] / "docs" / "gans.md").read_text("utf-8")
    assert f"```\n{entry.command}\n```" in page


def finished(root, entry, before, after, **more):
    """Write an entry's folder like `run_entry`; return its outcome."""
    (root / entry.name / "run").mkdir(parents=True)
    rows = [
        {"nimg": n, "seconds": n / 100, "loss/D": 1.0, "loss/G": 0.7, "D(real)": 0.5}
        for n in (100, 200)
    ]
    (root / entry.name / "run" / "log.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    save_png(root / entry.name / "grid.png", torch.zeros(1, 8, 16, dtype=torch.uint8))
    parameters = {"G": 1234, "D": 567, "pool": 0} | more.pop("parameters", {})
    made = Outcome(
        entry.name, entry.command, 30_016, 334.4, parameters, 2_000, before, after, **more
    )
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
    """Return the path of a document with a zoo section."""
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
    assert cells(text, "gan") == [
        "1,234",
        "567",
        "30,016",
        "334",
        "10",
        "0.125",
        "2.303",
        "61.5",
        "340.2",
    ]
    assert outcome.command in text and "\nold\n" not in text and text.endswith("after\n")
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
    paired = finished(
        tmp_path, of["pix2pix"], before, after | near, views=["input", "output", "target"]
    )
    players = {"G": 0, "D": 0, "G_AB": 1000, "G_BA": 234, "D_A": 500, "D_B": 67}
    unpaired = finished(tmp_path, of["cyclegan"], before, after, parameters=players)
    write_page(
        page, tmp_path, [(ENTRIES[0], outcome), (of["pix2pix"], paired), (of["cyclegan"], unpaired)]
    )
    text = page.read_text()
    cost, distance = ["1,234", "567", "30,016", "334"], ["61.5", "340.2"]
    shown = ["0.05 (input 0.5)", "25 (input 10)", "0.9123", "0.25"]
    assert cells(text, "pix2pix") == [*cost, *shown, *distance]
    assert cells(text, "cyclegan") == [*cost, *"––––", *distance]
    assert text.index("`gan`") < text.index("## Image to image") < text.index("[`pix2pix`]")
    assert text.count("Rows, in turn: input, output, target.") == 1


def test_what_is_no_better_than_untrained_is_said(tmp_path, page):
    of = {entry.name: entry for entry in ENTRIES}
    classes = {"classes_hit": 9, "kl_to_uniform": 0.5, "fd_mobilenet_v2": 100.0}
    worse = finished(
        tmp_path, of["gan"], classes, classes | {"kl_to_uniform": 0.75, "fd_mobilenet_v2": 50.0}
    )
    better = finished(
        tmp_path, of["dcgan"], classes, classes | {"kl_to_uniform": 0.25, "fd_mobilenet_v2": 99.0}
    )
    near = {
        "fd_mobilenet_v2": 50.0,
        "psnr": 20.0,
        "psnr_of_input": 21.0,
        "l1": 0.1,
        "l1_of_input": 0.2,
    }
    paired = finished(tmp_path, of["pix2pix"], {"fd_mobilenet_v2": 50.0}, near)
    write_page(page, tmp_path, [(of[made.name], made) for made in (worse, better, paired)])
    text = page.read_text()
    assert "- `gan`: KL 0.750, untrained 0.500\n" in text and "- `dcgan`" not in text
    assert "- `pix2pix`: FD 50.0, untrained 50.0; PSNR, dB 20, input 21\n" in text


def test_a_tree_with_changes_is_marked(monkeypatch):
    def describe(*arguments, **options):
        return subprocess.CompletedProcess(arguments, 0, stdout=f"{described}\n")

    monkeypatch.setattr(subprocess, "run", describe)
    for described, marked in (("abc1234", False), ("abc1234-dirty", True)):
        assert commit().startswith(described)
        assert ("changes that no commit holds" in commit()) == marked


def test_what_is_done_is_kept_for_the_same_command_alone(tmp_path, outcome):
    assert load_outcome(tmp_path, ENTRIES[0]) == outcome
    assert load_outcome(tmp_path, replace(ENTRIES[0], options="--lr 1e-3")) is None
    assert load_outcome(tmp_path, ENTRIES[1]) is None
