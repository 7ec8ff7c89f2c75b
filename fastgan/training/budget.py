"""Length of a run from the time that it may take, by the speed of its steps on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch

from fastgan.data import BatchLoader, ImageDataset
from fastgan.recipes import ImageSpec, Recipe
from fastgan.training.auto_precision import resolve
from fastgan.training.config import RunConfig
from fastgan.training.loop import next_batch
from fastgan.training.run_settings import ConfigError, RunSettings
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

SHARE = 0.9
"""Share of the time for steps; grids, measures and checkpoints take the rest."""
WARM_STEPS, STEPS, SECONDS = 2, 16, 20.0
"""Steps before the clock starts; steps to time, a whole round of lazy terms; most seconds."""


def images_in(
    hours: float,
    recipe: Recipe,
    settings: RunSettings,
    dataset: ImageDataset,
    device: torch.device,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[int, float]:
    """Return the number of images that a run shows within some hours, and its images per second.

    It takes a few steps with networks that it throws away. Recipes that grow are timed at the last
    resolution, and those with a first stage in the second one. So the number is rather too low.

    Args:
        hours: time that the run may take.
        recipe: recipe of the run.
        settings: data, length and seed of the run.
        dataset: images of the run.
        device: device that the run is trained on.
        clock: function that returns seconds.

    Raises:
        ConfigError: ``hours`` isn't a positive number.
        RecipeError: the recipe can't be trained on the images.
    """
    if not 0 < hours < float("inf"):
        raise ConfigError.of("hours", "a positive number", hours)
    images = RunConfig.of(recipe, settings, dataset).image_spec
    timed = resolve(_slowest(recipe, images), device, None)[0].settled(settings.total_images)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        state = TrainState.create(timed, images, seed=settings.seed, device=device)
        step = TrainStep(state)
        with BatchLoader(
            dataset, seed=settings.seed, start=0, batch=recipe.batch, device=device
        ) as batches:

            def take(count: int) -> int:
                shown, began = state.nimg, clock()
                for _ in range(count):
                    step([next_batch(batches) for _ in range(step.batches)])
                    if clock() - began > SECONDS:
                        break
                if devices:
                    torch.cuda.synchronize(device)
                return state.nimg - shown

            take(WARM_STEPS)
            began = clock()
            shown = take(STEPS)
            speed = shown / (clock() - began)
    return max(recipe.batch, int(speed * hours * 3600 * SHARE)), speed


def _slowest(recipe: Recipe, images: ImageSpec) -> Recipe:
    """Return the recipe in its slowest part: the last resolution, the second stage."""
    known = {entry.name for entry in fields(recipe)}
    slowest: dict[str, Any] = {"start_resolution": images.resolution, "pretrain": 0}
    return replace(recipe, **{name: v for name, v in slowest.items() if name in known})
