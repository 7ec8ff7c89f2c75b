"""Presets of recipes: values that build small networks, and their place behind a user's own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from small_recipes import data_of

from fastgan.recipes import DCGAN, RECIPES, ImageSpec, RecipeError, StyleGAN2

RESOLUTIONS = (32, 64, 128)
SLOW = ("sngan", "sagan", "biggan", "gaugan")
"""Recipes with many spectral norms, which are slow on the meta device."""


@pytest.mark.parametrize("name", RECIPES)
def test_small_fits_every_usual_resolution_and_length(name):
    kind = RECIPES[name]
    images = ImageSpec.of(data_of(kind(), resolution=32))
    for resolution in RESOLUTIONS:
        for length in (None, 2, 7_000):
            recipe = kind.with_preset("small", resolution=resolution, total_images=length)
            recipe.check_images(replace(images, resolution=resolution))
            found = kind.find_preset("small", resolution=resolution, total_images=length)
            assert recipe.settled(length or found.total_images)
            assert found.total_images >= 1_000 or length == found.total_images


# The perceptual network reads its weights from a file.
@pytest.mark.filterwarnings("ignore:.*non-meta parameter")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in SLOW else n for n in RECIPES]
)
def test_small_networks_are_small(name):
    kind = RECIPES[name]
    images = ImageSpec.of(data_of(kind(), resolution=32))
    recipe = kind.with_preset("small", resolution=32)
    with torch.device("meta"):
        networks = recipe.build_networks(images)
    count = sum(p.numel() for network in networks.values() for p in network.parameters())
    assert 10_000 < count < 7_000_000


@pytest.mark.parametrize("name", RECIPES)
def test_paper_is_the_defaults(name):
    kind = RECIPES[name]
    assert kind.with_preset("paper", resolution=32) == kind()
    found = kind.find_preset("paper", resolution=32)
    assert found.total_images == kind.default_images and found.resolution is None


def test_settings_of_the_user_win():
    recipe = StyleGAN2.with_preset("small", resolution=64, lr=1e-3, channel_max=8)
    assert (recipe.lr, recipe.channel_max, recipe.channel_base, recipe.z_dim) == (1e-3, 8, 1024, 64)


def test_an_unknown_setting_or_preset_is_named():
    with pytest.raises(TypeError, match="'chanel_max' is no setting of stylegan2: did you mean"):
        StyleGAN2.with_preset("small", resolution=64, chanel_max=8)
    with pytest.raises(RecipeError, match="preset must be one of paper, small, got 'large'"):
        StyleGAN2.with_preset("large", resolution=64)


def test_a_subclass_inherits_no_preset():
    @dataclass(frozen=True, kw_only=True)
    class Mine(DCGAN):
        lr: float = 0.5

    assert Mine.with_preset("paper", resolution=32).lr == 0.5
    with pytest.raises(RecipeError, match="paper for dcgan, which defines no small_preset, got"):
        Mine.with_preset("small", resolution=32)
