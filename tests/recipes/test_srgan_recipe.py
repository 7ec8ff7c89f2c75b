"""srgan: its two stages, its inputs, compilation without graph breaks, and bf16."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from fastgan.recipes import SRGAN, Batch, ImageSpec
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

TINY = SRGAN(scale=2, batch=4, ngf=2, ndf=1, blocks=1, pretrain=4)
IMAGES = ImageSpec(3, 32)


def a_batch(resolution=32):
    images = (
        torch.rand(4, 3, resolution, resolution, generator=torch.Generator().manual_seed(0)) * 2 - 1
    )
    return Batch(images, torch.zeros(4, dtype=torch.int64))


def both_stages(recipe, **options):
    """Return the statistics of one step in each stage."""
    step = TrainStep(TrainState.create(recipe, IMAGES), **options)
    return step([a_batch()]), step([a_batch()])


def test_it_learns_pixels_first_and_then_against_d():
    """Each stage has its own players and optimisers."""
    first, second = both_stages(TINY)
    assert set(first) == {"loss/MSE", "gradient/MSE"}
    assert {"loss/G", "content/G", "adversarial/G", "loss/D", "D(fake)", "certainty"} < set(second)
    assert "loss/MSE" not in second


def test_its_inputs_are_downscaled_images():
    data = a_batch(16)
    low = TINY.source(data)["low"]
    assert low.shape == (4, 3, 8, 8) and TINY.scale_factor == 2
    assert torch.allclose(low.mean(), data.real.mean(), atol=0.05)
    networks = {name: n.eval() for name, n in TINY.build_networks(IMAGES).items()}
    assert TINY.sample(networks, 4, generator=torch.Generator(), rows=data).shape == data.real.shape


def test_with_residual_it_starts_as_bicubic():
    recipe, data = dataclasses.replace(TINY, residual=True), a_batch(16)
    networks = {name: n.eval() for name, n in recipe.build_networks(IMAGES).items()}
    output = recipe.sample(networks, 4, generator=torch.Generator(), rows=data)
    torch.testing.assert_close(output, recipe.views(networks, data, output)["bicubic"])


def test_it_runs_in_bf16_about_as_in_float32():
    half = both_stages(dataclasses.replace(TINY, precision="bf16"))
    for stats, expected in zip(half, both_stages(TINY)):
        assert stats.keys() == expected.keys()
        for key in stats:
            torch.testing.assert_close(stats[key], expected[key], rtol=0.1, atol=0.05)


@pytest.mark.backends
def test_it_compiles_whole(caplog):
    """The second stage includes the first one; it runs in two micro-batches and in bf16."""
    recipe = dataclasses.replace(TINY, pretrain=0, residual=True, accumulate=2, precision="bf16")
    with caplog.at_level(logging.WARNING, "fastgan"):
        compiled = both_stages(recipe, compile="step", backend="eager")
    # It didn't fall back to eager.
    assert not [record for record in caplog.records if record.name == "fastgan"]
    for stats, expected in zip(compiled, both_stages(recipe)):
        assert stats.keys() == expected.keys()
        for key in stats:
            torch.testing.assert_close(stats[key], expected[key])
