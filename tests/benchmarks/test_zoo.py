"""The zoo: a row for every recipe, and the page of the runs' results."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks.bounds import least
from benchmarks.machine import commit
from benchmarks.zoo import bounds, records
from benchmarks.zoo.entries import ENTRIES, IMAGES
from benchmarks.zoo.page import write_page, write_pictures
from benchmarks.zoo.run import Outcome, load_outcome, outcome_file, run_entry, seed_folder
from fastgan.cli.train import parse_run
from fastgan.data import save_png
from fastgan.recipes import RECIPES


def test_every_recipe_has_a_row_that_its_command_makes():
    assert sorted(entry.name for entry in ENTRIES) == sorted(RECIPES)
    for entry in ENTRIES:
        recipe, run = parse_run(entry.name, entry.arguments)
        assert recipe.name == entry.name and run.total_images == entry.images
        assert run.data == ("shapes" if recipe.translates else "mnist5k")
        assert recipe.precision == "fp32"
        assert recipe.translates or entry.images == IMAGES or entry.why


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_command_sets_each_option_once(entry):
    options = [word for word in entry.arguments if word.startswith("--")]
    assert len(options) == len(set(options)), entry.command


def finished(root, entry, before, after, *, seed=0, **more):
    """Write an entry's folder like `run_entry`; return its outcome."""
    home = seed_folder(root, entry, seed)
    (home / "run").mkdir(parents=True)
    rows = [
        {"nimg": n, "seconds": n / 100, "loss/D": 1.0, "loss/G": 0.7, "D(real)": 0.5}
        for n in (100, 200)
    ]
    (home / "run" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_png(home / "grid.png", torch.zeros(1, 8, 16, dtype=torch.uint8))
    made = Outcome(
        entry.name,
        entry.command,
        seed,
        30_016,
        240.0,
        334.4,
        {"G": 1234, "D": 567, "pool": 0} | more.pop("parameters", {}),
        2_000,
        before,
        after,
        more.pop("floors", {}),
        {"cpu": "Some CPU", "torch": "2.11", "commit": "abc1234"},
        **more,
    )
    kept = {name: value for name, value in asdict(made).items() if name != "views" or value}
    outcome_file(root, entry, seed).write_text(json.dumps(kept))
    return made


OF = {entry.name: entry for entry in ENTRIES}


@pytest.fixture
def outcome(tmp_path):
    before = {"classes_hit": 1, "kl_to_uniform": 2.3026, "fd_digits": 340.25}
    after = {"classes_hit": 10, "kl_to_uniform": 0.125, "sure": 0.625, "fd_digits": 61.5}
    return finished(tmp_path, OF["gan"], before, after, floors={"fd_digits": 1.25})


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


def test_the_page_holds_the_figures(page, outcome):
    write_page(page, [outcome])
    text = page.read_text()
    shown = ["10", "0.125", "62%", "61.5", "1.2", "340.2", "digits"]
    assert cells(text, "gan") == ["1,234", "567", "30,016", "334", *shown]
    assert outcome.command in text and "\nold\n" not in text and text.endswith("after\n")
    assert "## Noise to image" in text and "## Image to image" not in text
    assert "4 minutes of one core of Some CPU, with torch 2.11, at commit abc1234." in text
    assert text.index("## Noise to image") < text.index("## Not trained yet")


def test_samples_and_curves_of_the_first_seed_are_pictures(tmp_path, outcome):
    finished(tmp_path, OF["dcgan"], {}, {}, seed=1)
    write_pictures(tmp_path / "gans", tmp_path, [OF["gan"], OF["dcgan"]])
    found = sorted((tmp_path / "gans").iterdir())
    assert [path.name for path in found] == ["gan-curves.png", "gan.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found)


def test_recipes_between_images_have_a_table_of_their_own(tmp_path, page, outcome):
    before, after = {"fd_mobilenet_v2": 340.25}, {"fd_mobilenet_v2": 61.5}
    near = {
        "l1": 0.05,
        "l1_of_input": 0.5,
        "psnr": 25.0,
        "psnr_of_input": 10.0,
        "ssim": 0.91234,
        "perceptual": 0.25,
    }
    views = ["input", "output", "target"]
    paired = finished(tmp_path, OF["pix2pix"], before, after | near, views=views)
    players = {"G": 0, "D": 0, "G_AB": 1000, "G_BA": 234, "D_A": 500, "D_B": 67}
    unpaired = finished(tmp_path, OF["cyclegan"], before, after, parameters=players)
    write_page(page, [outcome, paired, unpaired])
    text = page.read_text()
    cost, distance = ["1,234", "567", "30,016", "334"], ["61.5", "340.2"]
    shown = ["0.05 (input 0.5)", "25 (input 10)", "0.9123", "0.25"]
    assert cells(text, "pix2pix") == [*cost, *shown, *distance]
    assert cells(text, "cyclegan") == [*cost, *"––––", *distance]
    assert text.index("`gan`") < text.index("## Image to image") < text.index("[`pix2pix`]")
    assert text.count("Rows, in turn: input, output, target.") == 1


def test_what_is_no_better_than_untrained_is_said(tmp_path, page):
    classes = {"classes_hit": 9, "kl_to_uniform": 0.5, "fd_mobilenet_v2": 100.0}
    worse = finished(
        tmp_path, OF["gan"], classes, classes | {"kl_to_uniform": 0.75, "fd_mobilenet_v2": 50.0}
    )
    better = finished(
        tmp_path, OF["dcgan"], classes, classes | {"kl_to_uniform": 0.25, "fd_mobilenet_v2": 99.0}
    )
    near = {
        "fd_mobilenet_v2": 50.0,
        "psnr": 20.0,
        "psnr_of_input": 21.0,
        "l1": 0.1,
        "l1_of_input": 0.2,
    }
    paired = finished(tmp_path, OF["pix2pix"], {"fd_mobilenet_v2": 50.0}, near)
    write_page(page, [worse, better, paired])
    text = page.read_text()
    assert "- `gan`: KL 0.750, untrained 0.500\n" in text and "- `dcgan`" not in text
    assert "- `pix2pix`: FD 50.0, untrained 50.0; PSNR, dB 20, input 21\n" in text


def test_bounds_are_shown_for_each_seed(tmp_path, page, monkeypatch):
    monkeypatch.setitem(bounds.BOUNDS, "gan", {"sure": least(0.6)})
    before = {"classes_hit": 1, "kl_to_uniform": 2.3, "fd_digits": 340.0}
    made = [
        finished(tmp_path, OF["gan"], before, before | {"sure": sure}, seed=seed)
        for seed, sure in ((0, 0.65), (2, 0.55))
    ]
    assert [bounds.outside(outcome) for outcome in made] == [
        [],
        ["gan, seed 2: sure is 0.55, expected > 0.6"],
    ]
    write_page(page, made)
    text = page.read_text()
    label = "share of samples that the classifier is over 0.9 sure of"
    assert f"| gan | {label} | 0.65 | – | 0.55 | > 0.6 |" in text
    assert "Outside a bound:\n\n- gan, seed 2: sure is 0.55, expected > 0.6\n" in text


def test_a_tree_with_changes_is_marked(monkeypatch):
    def describe(*arguments, **options):
        return subprocess.CompletedProcess(arguments, 0, stdout=f"{described}\n")

    monkeypatch.setattr(subprocess, "run", describe)
    for described, marked in (("abc1234", False), ("abc1234-dirty", True)):
        assert commit().startswith(described)
        assert ("changes that no commit holds" in commit()) == marked


def test_what_is_done_is_kept_for_the_same_command_and_seed_alone(tmp_path, outcome):
    assert load_outcome(tmp_path, ENTRIES[0]) == outcome
    assert load_outcome(tmp_path, ENTRIES[0], 1) is None
    assert load_outcome(tmp_path, replace(ENTRIES[0], options="--lr 1e-3")) is None
    assert load_outcome(tmp_path, ENTRIES[1]) is None


def test_a_record_replaces_those_of_its_seed_or_of_another_command(tmp_path, outcome):
    path = tmp_path / "zoo.json"
    other, second = replace(outcome, seed=1), replace(outcome, name="dcgan")
    assert records.keep([second, other, outcome], path) == [outcome, other, second]
    assert records.read(path) == [outcome, other, second]
    newer = replace(outcome, images=1)
    assert records.keep([newer], path) == [newer, other, second]
    changed = replace(outcome, command="fastgan train gan --lr 1")
    assert records.keep([changed], path) == [changed, second]


RECORDED = records.read()


def test_recorded_outcomes_of_todays_commands_pass_their_bounds():
    assert [text for outcome in RECORDED for text in bounds.outside(outcome)] == []


def test_every_bound_was_shown_with_every_seed():
    shown = {(o.name, o.seed) for o in RECORDED if o.command == OF[o.name].command}
    assert {(name, seed) for name in bounds.BOUNDS for seed in bounds.SEEDS} <= shown, (
        "run make zoo"
    )


def test_the_page_is_of_the_records(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "gans.md"
    copy = tmp_path / "gans.md"
    copy.write_text(page.read_text("utf-8"))
    write_page(copy, RECORDED)
    assert copy.read_text() == page.read_text("utf-8"), "run make zoo"


@pytest.mark.long
@pytest.mark.parametrize("seed", bounds.SEEDS)
@pytest.mark.parametrize("name", bounds.BOUNDS)
def test_a_run_stays_within_its_bounds(name, seed):
    """Runs that `make zoo` made are taken."""
    assert bounds.outside(run_entry(Path("runs/zoo"), OF[name], seed)) == []
