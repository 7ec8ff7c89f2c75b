"""Schedules follow the images shown and the settings, not the run's length, which may be raised."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from fastgan.recipes import RECIPES, DrawRequest, GauGAN, ImageSpec, Pix2Pix, RecipeError
from fastgan.recipes.base import Recipe
from fastgan.recipes.growing import Growing
from fastgan.recipes.noise import NoiseToImage

SHOWN = (0, 1, 7, 50, 99, 100, 101, 150, 199, 200)
SCHEDULED = {
    "decay_after": 50, "pretrain": 60, "instance_noise": 0.5, "instance_noise_until": 150,
    "burn_in_kimg": 0.15, "stable_kimg": 0.03, "fade_kimg": 0.02, "ema_kimg": 0.02,
}  # fmt: skip
"""Settings under which every schedule moves within 200 images."""


def scheduled(name: str) -> Recipe:
    kind = RECIPES[name]
    known = {f.name for f in fields(kind)}
    settings = {key: value for key, value in SCHEDULED.items() if key in known}
    if next(f.default for f in fields(kind) if f.name == "ema"):
        settings["ema_kimg"] = 0.0
    return kind(**settings).settled(100)


def at(recipe: Recipe, nimg: int) -> list[object]:
    """Return everything of a recipe that depends on the images shown."""
    values: list[object] = [recipe.lr_lambda(nimg)]
    if recipe.averages and nimg:
        values.append(recipe.ema_decay(nimg, nimg, 1))
    if isinstance(recipe, Growing):
        values.append(recipe.growth(nimg))
    networks = recipe.extras(ImageSpec(3, 16)) if isinstance(recipe, NoiseToImage) else {}
    for player in recipe.players():
        values.append(player.is_active(nimg))
        # The draws of unit have no schedule, and ask a network for their shape.
        if recipe.name != "unit":
            rows = player.draw(DrawRequest(2, nimg, torch.Generator().manual_seed(0), networks))
            values += [
                rows[key].tolist() for key in ("instance_noise_std", "burn_in_left") if key in rows
            ]
    return values


@pytest.mark.parametrize("name", RECIPES)
def test_more_images_move_no_schedule(name):
    recipe = scheduled(name)
    if recipe.extends:
        # The end of the learning rate's decay is a setting, which has to be raised by name.
        more = replace(recipe, **dict.fromkeys(recipe.extends, 200))
        assert more.settled(200) == more and more.lr_lambda(150) > 0
        recipe, more = recipe.settled(80), recipe.settled(100)
    else:
        more = recipe.settled(200)
    assert [at(recipe, nimg) for nimg in SHOWN] == [at(more, nimg) for nimg in SHOWN]


@pytest.mark.parametrize("name", RECIPES)
def test_a_settled_recipe_is_settled(name):
    recipe = scheduled(name)
    assert recipe.settled(100) == recipe and recipe.settled(100, recipe) == recipe
    assert RECIPES[name]().settled(100) == RECIPES[name]()


def test_the_end_of_the_decay_is_that_of_the_run_that_goes_on():
    first = Pix2Pix(decay_after=50).settled(100)
    assert first.decay_until == 100
    assert Pix2Pix(decay_after=50).settled(80, first) == first
    assert Pix2Pix(decay_after=50, decay_until=90).settled(80, first).decay_until == 90
    assert GauGAN(decay_after=50).settled(80, Pix2Pix()).decay_until == 80
    assert Pix2Pix().settled(80, first).decay_until is None


def test_a_decay_without_an_end_has_no_rate():
    with pytest.raises(RecipeError, match="decay_until must be a number of images, got None"):
        Pix2Pix(decay_after=50).lr_lambda(60)
