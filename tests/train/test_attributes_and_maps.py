"""stargan and gaugan in the trainer: resumed bit for bit, compiled, in half types."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from fastgan.data import open_dataset
from fastgan.recipes import GauGAN, ImageSpec, StarGAN
from fastgan.train import Callback
from fastgan.train.checkpoint import load_checkpoint
from fastgan.train.samples import given_rows
from fastgan.train.state import TrainState
from fastgan.train.step import TrainStep

RECIPES = {
    "stargan": StarGAN(
        resolution=16, batch=4, images=32, ngf=2, ndf=2, blocks=0, n_critic=2, ema=0.9, skip=True
    ),
    "gaugan": GauGAN(resolution=16, batch=4, images=16, ngf=1, ndf=2, hidden=4, patch=16, scales=1, ema=0.9),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_resumes_bit_for_bit(run, name, assert_same):
    recipe = RECIPES[name]

    class Stop(Callback):
        def on_step(self, run, stats):
            run.stop()

    def final(result):
        state = load_checkpoint(result.run.latest_checkpoint).state
        return {key: value for key, value in state.items() if key != "seconds"}

    unbroken, _ = run(recipe, out="unbroken")
    broken, _ = run(recipe, callbacks=[Stop()])
    assert 0 < broken.nimg < recipe.images
    resumed, _ = run(recipe, resume=True)
    assert_same(final(resumed), final(unbroken))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_compiled_step_in_bf16_trains_as_the_eager_one(name, caplog):
    """In pieces too, whole: torch.compile refuses graphs that break."""
    recipe = dataclasses.replace(RECIPES[name], accumulate=2, precision="bf16")
    data = open_dataset("shapes", task=recipe.task, resolution=16)

    def trained(**options):
        state = TrainState.create(recipe, ImageSpec.of(data))
        step = TrainStep(state, **options)
        given = [
            given_rows(recipe, state.networks, data, range(4 * i, 4 * i + 4)) for i in range(step.batches)
        ]
        return state, step(given)

    with caplog.at_level(logging.WARNING, "fastgan"):
        (eager, said), (compiled, told) = trained(), trained(compile="step", backend="eager")
    assert not caplog.records and said.keys() == told.keys()  # it didn't fall back
    for key, value in said.items():
        torch.testing.assert_close(told[key], value, rtol=1e-3, atol=1e-3)
    for name, network in compiled.networks.items():
        for there, here in zip(network.state_dict().values(), eager.networks[name].state_dict().values()):
            torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)
