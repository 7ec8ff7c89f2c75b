"""unit and cyclegan in the trainer: resumed bit for bit, compiled, in half types."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch
from pairs import Negatives

from fastgan.recipes import UNIT, Batch, CycleGAN, ImageSpec
from fastgan.train import Callback
from fastgan.train.checkpoint import load_checkpoint
from fastgan.train.state import TrainState
from fastgan.train.step import TrainStep

SMALL = {"batch": 2, "images": 8, "ngf": 2, "ndf": 2, "blocks": 0, "patch": 16, "ema": 0.9}
RECIPES = {"unit": UNIT(**SMALL), "cyclegan": CycleGAN(**SMALL, pool=4)}


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_resumes_bit_for_bit(run, name, assert_same):
    """With pools and latents' noise."""
    recipe = RECIPES[name]

    class Stop(Callback):
        def on_step(self, run, stats):
            if run.state.nimg == 4:
                run.stop()

    def final(result):
        state = load_checkpoint(result.run.latest_checkpoint).state
        return {key: value for key, value in state.items() if key != "seconds"}

    data = {"dataset": Negatives("domains")}
    unbroken, _ = run(recipe, out="unbroken", **data)
    broken, _ = run(recipe, callbacks=[Stop()], **data)
    assert broken.nimg == 4
    resumed, _ = run(recipe, resume=True, **data)
    assert_same(final(resumed), final(unbroken))


def trained(recipe, **options):
    data = Negatives("domains")
    step = TrainStep(TrainState.create(recipe, ImageSpec.of(data)), **options)
    real, other = torch.rand(2, recipe.batch, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.zeros(recipe.batch, dtype=torch.int64)
    return step.state, step([Batch(real, labels, inputs={"other": other})])


@pytest.mark.parametrize("name", [pytest.param("unit", marks=pytest.mark.slow), "cyclegan"])
def test_a_compiled_step_in_bf16_trains_as_the_eager_one(name, caplog):
    """In pieces too, whole: torch.compile refuses graphs that break."""
    recipe = dataclasses.replace(RECIPES[name], batch=4, accumulate=2, precision="bf16")
    with caplog.at_level(logging.WARNING, "fastgan"):
        (eager, said), (compiled, told) = trained(recipe), trained(recipe, compile="step", backend="eager")
    assert not caplog.records and said.keys() == told.keys()  # it didn't fall back
    assert all(value.isfinite() for value in told.values()) and said["loss/G"].dtype == torch.float32
    for network, ours in compiled.networks.items():
        for there, here in zip(ours.state_dict().values(), eager.networks[network].state_dict().values()):
            torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)


def test_a_network_of_unit_can_stay_in_float32():
    recipe = dataclasses.replace(RECIPES["unit"], precision="bf16", full_precision=("G",))
    state, stats = trained(recipe)
    assert all(value.isfinite() for value in stats.values()) and not any(state.skipped.values())
