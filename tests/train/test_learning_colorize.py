"""colorize learns, in seconds, which colour goes with which grey: nearer to the true ones than grey and mean colours are.

Luma hardly tells the eight colours of `shapes`: blue, red and purple lie within 11 of 255, cyan, orange and pink too. So
this is about scenes of four whose luma is 25 and more apart. What it never tells is the background's tinge, about half of
all the chroma there is.

As measured with seed 0, inside of the shapes and everywhere: colorize 0.18 and 0.077, grey 0.47 and 0.116, the mean of the
images 0.43 and 0.121.
"""

from __future__ import annotations

import pytest
import torch
from test_learning import learn, one_thread

from fastgan.cli.train import parse_run
from fastgan.data import InMemoryDataset, to_float
from fastgan.data.shapes import ShapesDataset
from fastgan.recipes import Batch, ImageSpec
from fastgan.train.samples import evaluation
from fastgan.train.state import TrainState

TOLD = ("blue", "green", "cyan", "yellow")
SETTINGS = "--batch 16 --images 4000 --ngf 8 --ndf 8 --lr 4e-3 --patch 16 --dropout 0 --decay-after 2000"
COUNT = 100


def told(shapes: ShapesDataset, count: int) -> torch.Tensor:
    """The first scenes in colours that luma tells: int64 `[count]`."""
    found = (i for i in range(len(shapes)) if shapes.attributes(i).colour in TOLD)
    return torch.tensor([next(found) for _ in range(count)])


@pytest.mark.slow
def test_colorize_tells_colours_by_their_luma():
    """By the mean absolute difference of chroma, a colour of -1 to 1 less its luma, on held-out scenes."""
    shapes = ShapesDataset()
    dataset = InMemoryDataset("told", *shapes.batch(told(shapes, 4_000)))
    recipe, _ = parse_run("colorize", SETTINGS.split())
    rows = told(shapes.held_out(), COUNT)
    real, mask = to_float(shapes.held_out().batch(rows)[0]), shapes.held_out().masks(rows)[:, None]
    with one_thread():
        state = TrainState.create(recipe, ImageSpec.of(dataset))
        learn(recipe, dataset, state)
        given = Batch(real, torch.zeros(COUNT, dtype=torch.int64))
        with evaluation(state.sampler) as networks:
            output = recipe.sample(networks, COUNT, generator=torch.Generator(), given=given)

    def chroma(images):
        return images - recipe.condition({"image": images})

    mean = to_float(dataset.batch(torch.arange(500))[0]).mean(0)
    others = {"output": output, "grey": torch.zeros_like(real), "mean": mean.expand_as(real)}
    away = {
        name: (chroma(images) - chroma(real)).abs().mean(1, keepdim=True) for name, images in others.items()
    }
    inside = {name: a[mask].mean().item() for name, a in away.items()}
    everywhere = {name: a.mean().item() for name, a in away.items()}
    print("colorize", inside, everywhere)
    assert inside["output"] < 0.6 * min(inside["grey"], inside["mean"]), inside
    assert everywhere["output"] < 0.9 * min(everywhere["grey"], everywhere["mean"]), everywhere
