"""Recipes of other packages: the worked example of the docs, names, and entry points."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

import fastgan
from fastgan import cli
from fastgan.recipes import (
    DCGAN,
    GAN,
    Batch,
    ImageSpec,
    RecipeError,
    get_recipe,
    import_recipe,
    registry,
)
from fastgan.recipes.noise import NoiseToImage
from fastgan.training import RunSettings
from fastgan.training.config import RunConfig
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

PAGE = Path(__file__).parents[2] / "docs" / "new-recipe.md"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Working folder with the docs' example as my_recipe.py."""
    (example,) = re.findall(r"```python\n(.*?class HingeGAN.*?)```", PAGE.read_text("utf-8"), re.S)
    assert len(example.splitlines()) < 60
    (tmp_path / "my_recipe.py").write_text(example, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    sys.modules.pop("my_recipe", None)


def test_the_worked_example_trains(folder):
    kind = import_recipe("my_recipe:HingeGAN")
    recipe = kind(batch=4, width=2, z_dim=4)
    step = TrainStep(TrainState.create(recipe, ImageSpec(1, 16)))
    stats = step([Batch(torch.zeros(4, 1, 16, 16), torch.zeros(4, dtype=torch.int64))])
    assert {"loss/D", "loss/G", "r1/D", "logit(real)"} < stats.keys()
    # A saved run names it, and its class is imported by now.
    assert get_recipe("hinge-gan") is kind
    with pytest.raises(RecipeError, match="width must be at least 1, got 0"):
        kind(width=0)
    with pytest.raises(TypeError, match="'widht' is no setting of hinge-gan: did you mean 'width'"):
        kind(widht=3)
    unnamed = type("Unnamed", (NoiseToImage,), {})
    with pytest.raises(TypeError, match="'widht' is no setting of Unnamed, of "):
        unnamed(widht=3)


def test_a_class_that_was_not_decorated_says_so():
    class Plain(DCGAN):
        width: int = 3

    with pytest.raises(TypeError, match=r"'width' is no setting of dcgan yet: decorate .* Plain"):
        Plain(width=4)


def forget(monkeypatch):
    """Act as a new process, which has imported no recipe of one's own."""
    sys.modules.pop("my_recipe", None)
    monkeypatch.setattr(registry, "imported_kinds", lambda kind: ())


def test_a_saved_run_is_found_by_its_reference(folder, monkeypatch):
    kind = import_recipe("my_recipe:HingeGAN")
    assert registry.reference_of(kind) == "my_recipe:HingeGAN"
    config = RunConfig(
        kind(width=2), RunSettings.of(kind, data="digits"), ImageSpec(1, 16), "digits", "0"
    )
    plain = config.to_plain()
    assert plain["recipe"] == "hinge-gan" and plain["recipe_class"] == "my_recipe:HingeGAN"
    assert "recipe_class" not in replace(config, recipe=GAN()).to_plain()
    forget(monkeypatch)
    assert RunConfig.from_plain(plain).recipe.width == 2
    forget(monkeypatch)
    with pytest.raises(RecipeError, match="Unknown recipe 'hinge-gan'"):
        RunConfig.from_plain({k: v for k, v in plain.items() if k != "recipe_class"})


@pytest.mark.parametrize("reference", ["my_script:HingeGAN", "no_module:HingeGAN", "my_script", ""])
def test_a_module_without_the_class_is_not_run(folder, monkeypatch, reference):
    (folder / "my_script.py").write_text("raise SystemExit('it ran')\n")
    forget(monkeypatch)
    with pytest.raises(RecipeError, match="Unknown recipe 'hinge-gan'"):
        get_recipe("hinge-gan", reference)


def test_commands_and_exports_know_the_recipe(folder, monkeypatch, capsys):
    small = [
        "--data",
        "digits",
        "--resolution",
        "16",
        "--batch",
        "4",
        "--width",
        "2",
        "--z-dim",
        "4",
        "--measure",
        "none",
    ]
    shown = ["--out", "run", "--total-images"]
    monkeypatch.setattr("fastgan.training.report.draw_curves", lambda rows, **more: b"PNG")
    assert cli.run(["train", "my_recipe:HingeGAN", *small, *shown, "8"]) == 0
    forget(monkeypatch)
    assert cli.run(["train", "hinge-gan", *shown, "16", "--resume"]) == 0
    forget(monkeypatch)
    assert cli.run(["sample", "run", "--out", "grid.png", "--rows", "1", "--columns", "2"]) == 0
    forget(monkeypatch)
    path = fastgan.load("run").export("G.safetensors").path
    forget(monkeypatch)
    assert fastgan.load(path).sample(2).shape == (2, 1, 16, 16)
    forget(monkeypatch)
    with pytest.raises(RecipeError, match="Unknown recipe 'hinge-gun'"):
        cli.run(["train", "hinge-gun", *shown, "16", "--resume"])


def test_an_entry_point_is_a_recipe(folder, monkeypatch):
    sys.path.insert(0, str(folder))
    entry = EntryPoint("installed-gan", "my_recipe:HingeGAN", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    assert get_recipe("installed-gan").__name__ == "HingeGAN"
    with pytest.raises(RecipeError, match="did you mean 'installed-gan'"):
        get_recipe("instaled-gan")


def test_names_of_fastgans_own_recipes_stay():
    assert import_recipe("gan") is GAN


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_module:GAN", "can't be imported .*no_such_module"),
        ("fastgan.recipes:NoGAN", "can't be imported .*NoGAN"),
        ("fastgan.recipes:ImageSpec", "must be a class that derives from fastgan.recipes.Recipe"),
        ("fastgan.recipes:Recipe", "defines its methods"),
    ],
)
def test_what_is_no_recipe_is_refused(name, says, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(RecipeError, match=says):
        import_recipe(name)
    # A saved run may hold any name, and imports no module.
    with pytest.raises(RecipeError, match="Unknown recipe"):
        get_recipe(name)
