"""Recipes that translate, in the trainer: exact resumes, compiled, in half types, in pieces."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from pairs import Negatives

from fastgan.data import open_dataset
from fastgan.inference.samples import data_rows
from fastgan.recipes import UNIT, CycleGAN, GauGAN, ImageSpec, Inpaint, StarGAN, Text2Image
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

SMALL = {"ngf": 2, "ndf": 2, "ema": 0.9}
DOMAINS = {**SMALL, "batch": 2, "blocks": 0, "patch": 16}
SHAPES = {**SMALL, "batch": 4}
RECIPES = {
    "unit": UNIT(**DOMAINS),
    "cyclegan": CycleGAN(**DOMAINS, replay=4),
    "stargan": StarGAN(**SHAPES, blocks=0, n_critic=2, skip=True),
    "gaugan": GauGAN(**{**SHAPES, "ngf": 1}, hidden=4, patch=16, scales=1),
    "inpaint": Inpaint(**SHAPES, patch=16, dropout=0.5, mirror=True),
    "text2image": Text2Image(**SHAPES, z_dim=4, text_dim=4),
}
SHOWN = {"unit": (4, 8), "cyclegan": (4, 8), "stargan": (8, 32)}
"""Images at a stop and at the end, else 4 and 16; by then pools hold some images."""


def data_of(recipe):
    if recipe.task == "domains":
        return Negatives("domains")
    return open_dataset("shapes", task=recipe.task, resolution=16)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_resumes_bit_for_bit(resumes, name):
    """The recipes have pools, latents' noise, holes and wrong captions."""
    recipe = RECIPES[name]
    data = {"dataset": data_of(recipe)} if recipe.task == "domains" else {}
    stop, total_images = SHOWN.get(name, (4, 16))
    run = {"data": "shapes", "resolution": 16, "total_images": total_images}
    resumes(recipe, stop=stop, **run, **data)


def trained(recipe, **options):
    data = data_of(recipe)
    state = TrainState.create(recipe, ImageSpec.of(data))
    step, size = TrainStep(state, **options), recipe.batch
    rows = [range(size * i, size * (i + 1)) for i in range(step.batches)]
    return state, step([data_rows(recipe, state.networks, data, some) for some in rows])


@pytest.mark.backends
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long)
        if name in ("unit", "stargan", "gaugan", "text2image")
        else name
        for name in RECIPES
    ],
)
def test_a_compiled_step_in_bf16_trains_as_the_eager_one(compiles_as_eager, name):
    """The step is one graph, in pieces too: torch.compile refuses graphs that break."""
    recipe = dataclasses.replace(RECIPES[name], batch=4, accumulate=2, precision="bf16")
    if name == "inpaint":
        # A compiled graph draws another dropout.
        recipe = dataclasses.replace(recipe, dropout=0.0)
    stats = compiles_as_eager(lambda **options: trained(recipe, **options), rtol=1e-3, atol=1e-3)
    assert (
        all(value.isfinite() for value in stats.values()) and stats["loss/G"].dtype == torch.float32
    )


def test_a_network_of_unit_can_stay_in_float32():
    recipe = dataclasses.replace(RECIPES["unit"], precision="bf16", full_precision=("G",))
    state, stats = trained(recipe)
    assert all(value.isfinite() for value in stats.values()) and not any(state.skipped.values())
