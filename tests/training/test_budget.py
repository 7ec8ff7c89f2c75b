"""Length of a run from the time that it may take."""

from __future__ import annotations

import itertools

import pytest
import torch

from fastgan.recipes import GAN, SRGAN, ImageSpec, ProGAN, RecipeError
from fastgan.training import ConfigError, RunSettings
from fastgan.training.budget import STEPS, WARM_STEPS, _slowest, images_in

CPU = torch.device("cpu")
DATA = RunSettings.of(GAN, data="digits", resolution=8)


def ticking(seconds):
    """Return a clock that goes on by some seconds whenever it is read."""
    ticks = itertools.count()
    return lambda: seconds * next(ticks)


def timed(recipe, hours=1.0, seconds=1 / 16):
    return images_in(hours, recipe, DATA, DATA.open_data(recipe), CPU, clock=ticking(seconds))


def test_images_follow_from_the_speed_of_the_steps(tiny):
    # The clock is read at the beginning, after each step and in between.
    images, speed = timed(tiny)
    assert speed == pytest.approx(16 * STEPS / ((STEPS + 2) / 16))
    assert images == int(speed * 3600 * 0.9)
    assert timed(tiny, hours=0.5)[0] == pytest.approx(images / 2, abs=1)


def test_slow_steps_are_timed_for_some_seconds_alone(tiny):
    images, speed = timed(tiny, seconds=30.0)
    assert speed == pytest.approx(16 / 90) and images == int(16 / 90 * 3600 * 0.9)
    assert timed(tiny, hours=1e-6, seconds=30.0)[0] == 16


def test_timing_leaves_the_generator_as_it_was(tiny):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    timed(tiny)
    assert torch.equal(torch.get_rng_state(), before) and WARM_STEPS > 0


def test_the_slowest_part_is_timed():
    images = ImageSpec.of(RunSettings.of(GAN, resolution=32).open_data(GAN()))
    assert _slowest(ProGAN(), images).start_resolution == 32
    assert _slowest(SRGAN(), images).pretrain == 0
    assert _slowest(GAN(), images) == GAN()


@pytest.mark.parametrize("hours", [0.0, -1.0, float("inf"), float("nan")])
def test_hours_must_be_positive(tiny, hours):
    with pytest.raises(ConfigError, match="hours must be a positive number, got"):
        timed(tiny, hours=hours)


def test_data_that_the_recipe_cannot_take_is_named():
    with pytest.raises(RecipeError, match="resolution must be"):
        timed(ProGAN(start_resolution=16))
