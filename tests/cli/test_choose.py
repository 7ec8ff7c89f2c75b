"""`fastgan train` without a recipe: the chosen command line, and errors."""

from __future__ import annotations

import pytest

from fastgan.cli import UsageError
from fastgan.cli.choose import with_recipe
from fastgan.cli.train import parse_start


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def test_data_chooses_a_recipe_and_its_options():
    line, (said,) = with_recipe(["--data", "mnist5k", "--seed", "3"])
    assert line[:5] == ["stylegan2", "--data", "mnist5k", "--seed", "3"]
    assert line[5:] == ["--conditional", "--resolution", "32"]
    assert said == (
        "Recipe stylegan2 --conditional --resolution 32: 5,000 images of 10 classes on a CPU."
    )


def test_given_options_stay():
    given = ["--data=digits", "--no-conditional", "--resolution", "16", "--batch", "8"]
    line, (said,) = with_recipe(given)
    assert line == [line[0], *given] and said.startswith(f"Recipe {line[0]}: 1,797 images")


def test_a_run_is_resumed_with_its_own_recipe(fastgan, tiny, tmp_path):
    out = tmp_path / "run"
    line = ("train", "gan", *tiny, "--total-images", 16, "--measure", "none", "--out", out)
    assert fastgan(*line).status == 0
    line = ["--out", str(out), "--resume"]
    assert with_recipe(line) == (["gan", *line], [])


def test_neither_recipe_nor_data_is_one_sentence(refused):
    assert "needs a recipe, or --data to choose one by" in refused("train", "--seed", 3)
    assert "'nothing/here'" in refused("train", "--data", "nothing/here")


def test_hours_set_the_length_which_a_resumed_run_keeps(fastgan, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("fastgan.cli.train.images_in", lambda *run: (48, 7.0))
    where = tiny.index("--total-images")
    line = [*tiny[:where], *tiny[where + 2 :], "--measure", "none", "--out", tmp_path / "run"]
    begun = fastgan("train", "gan", *line, "--hours", 0.5)
    assert begun.status == 0 and "--total-images 48: 0.5 h at 7 images/s." in begun.out
    monkeypatch.setattr("fastgan.cli.train.images_in", None)
    again = fastgan("train", "--out", tmp_path / "run", "--resume", "--hours", 2)
    assert again.status == 0 and "The run keeps its --total-images, 48." in again.out


def test_hours_exclude_a_length_and_several_processes(refused, tiny, monkeypatch):
    assert "--hours and --total-images exclude" in refused("train", "gan", *tiny, "--hours", 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="torchrun started several"):
        parse_start("gan", ["--hours", "1"])
