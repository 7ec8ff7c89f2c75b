"""inpaint and text2image in the trainer: resumed bit for bit, in one graph, in half precision and in pieces."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from fastgan.data import BatchLoader, open_dataset
from fastgan.recipes import ImageSpec, Inpaint, Text2Image
from fastgan.train import Callback
from fastgan.train.checkpoint import load_checkpoint
from fastgan.train.loop import next_batch
from fastgan.train.state import TrainState
from fastgan.train.step import TrainStep

SHARED = {"resolution": 16, "batch": 4, "images": 16, "ngf": 2, "ndf": 2, "ema": 0.9}
RECIPES = {
    "inpaint": Inpaint(patch=16, dropout=0.5, mirror=True, **SHARED),
    "text2image": Text2Image(z_dim=4, text_dim=4, **SHARED),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_resumes_bit_for_bit(run, name, assert_same):
    class Stop(Callback):
        def on_step(self, run, stats):
            run.stop()

    def final(result):
        state = load_checkpoint(result.run.latest_checkpoint).state
        return {key: value for key, value in state.items() if key != "seconds"}

    unbroken, _ = run(RECIPES[name], out="unbroken")
    broken, _ = run(RECIPES[name], callbacks=[Stop()])
    assert broken.nimg == 4
    resumed, _ = run(RECIPES[name], resume=True)
    assert_same(final(resumed), final(unbroken))


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_in_one_graph_in_half_precision_and_in_pieces_is_the_same_step(name, caplog):
    recipe = dataclasses.replace(RECIPES[name], precision="bf16", accumulate=2)
    if name == "inpaint":
        recipe = dataclasses.replace(recipe, dropout=0.0)  # drawn in the graph
    dataset = open_dataset("shapes", resolution=16, task=recipe.task)

    def stepped(**options):
        state = TrainState.create(recipe, ImageSpec.of(dataset))
        step = TrainStep(state, **options)
        with BatchLoader(dataset, seed=0, start=0, batch=4, device="cpu") as batches:
            return step([next_batch(batches)])

    with caplog.at_level(logging.WARNING, "fastgan"):
        eager, compiled = stepped(), stepped(compile="step", backend="eager")
    assert not [record for record in caplog.records if record.name == "fastgan"]  # it didn't fall back
    assert eager.keys() == compiled.keys()
    for key, value in eager.items():
        torch.testing.assert_close(compiled[key], value, rtol=0.02, atol=0.01)
