"""Settings of a run: their defaults by recipe, their checks, and their place in saved files."""

from __future__ import annotations

from dataclasses import fields

import pytest

from fastgan.recipes import GAN, RECIPES, CycleGAN, StyleGAN2
from fastgan.training import RunSettings
from fastgan.training.config import ConfigError, RunConfig, split_settings


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_no_recipe_has_a_setting_of_the_run(recipe):
    assert not {f.name for f in fields(recipe)} & {f.name for f in fields(RunSettings)}


def test_a_recipe_names_its_data_and_length():
    assert RunSettings.of(GAN) == RunSettings(data="mnist5k", resolution=28, total_images=200_000)
    assert RunSettings.of(CycleGAN()).data == "shapes"
    assert RunSettings.of(StyleGAN2).total_images == 25_000_000
    assert RunSettings.of(GAN, seed=3, data="faces").data == "faces"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"total_images": 0}, "total_images must be at least 1, got 0."),
        ({"total_images": 1.5}, "total_images must be an int, got 1.5."),
        ({"seed": None}, "seed must be an int, got None."),
        ({"fit": "squeeze"}, "fit must be one of crop, pad, stretch, got 'squeeze'."),
    ],
)
def test_errors_name_the_setting(changes, said):
    with pytest.raises(ConfigError) as error:
        RunSettings.of(GAN, **changes)
    assert str(error.value) == said


def test_an_unknown_setting_is_named():
    with pytest.raises(TypeError, match="'colour'"):
        RunSettings.of(GAN, colour="red")


def test_saved_settings_of_run_and_recipe_lie_side_by_side(run, tiny):
    result, _ = run(tiny, total_images=16, seed=5)
    plain = result.config.to_plain()
    of_the_run, of_the_recipe = split_settings(plain["settings"])
    assert of_the_run["total_images"] == 16 and of_the_run["seed"] == 5
    assert of_the_recipe["batch"] == 16 and "seed" not in of_the_recipe
    assert RunConfig.from_plain(plain) == result.config
