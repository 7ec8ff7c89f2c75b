"""`fastgan train` without a recipe: the chosen command line, and errors."""

from __future__ import annotations

import pytest

from fastgan.cli.choose import with_recipe


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
