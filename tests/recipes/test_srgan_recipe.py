"""srgan: its two times, what it is given, and that it compiles whole and runs in bf16."""

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


def both_times(recipe, **options):
    """What a step of each of the two times says."""
    step = TrainStep(TrainState.create(recipe, IMAGES), **options)
    return step([a_batch()]), step([a_batch()])


def test_it_learns_pixels_first_and_then_against_d():
    """Each time has its players and an optimiser of its own."""
    first, second = both_times(TINY)
    assert set(first) == {"loss/MSE", "gradient/MSE"}
    assert {"loss/G", "content/G", "adversarial/G", "loss/D", "D(fake)"} < set(second)
    assert "loss/MSE" not in second


def test_it_is_given_what_was_made_smaller():
    given = a_batch(16)
    low = TINY.source(given)["low"]
    assert low.shape == (4, 3, 8, 8) and TINY.scale_factor == 2
    assert torch.allclose(low.mean(), given.real.mean(), atol=0.05)
    networks = {name: n.eval() for name, n in TINY.build_networks(IMAGES).items()}
    assert (
        TINY.sample(networks, 4, generator=torch.Generator(), given=given).shape == given.real.shape
    )


def test_with_residual_it_starts_as_bicubic():
    recipe, given = dataclasses.replace(TINY, residual=True), a_batch(16)
    networks = {name: n.eval() for name, n in recipe.build_networks(IMAGES).items()}
    output = recipe.sample(networks, 4, generator=torch.Generator(), given=given)
    torch.testing.assert_close(output, recipe.views(networks, given, output)["bicubic"])


def test_it_runs_in_bf16_about_as_in_float32():
    half = both_times(dataclasses.replace(TINY, precision="bf16"))
    for found, expected in zip(half, both_times(TINY)):
        assert found.keys() == expected.keys()
        for key in found:
            torch.testing.assert_close(found[key], expected[key], rtol=0.1, atol=0.05)


@pytest.mark.slow
def test_it_compiles_whole(caplog):
    """The time against D, of which the first is a part; in two pieces and in bf16."""
    recipe = dataclasses.replace(TINY, pretrain=0, residual=True, accumulate=2, precision="bf16")
    with caplog.at_level(logging.WARNING, "fastgan"):
        compiled = both_times(recipe, compile="step", backend="eager")
    assert not [
        record for record in caplog.records if record.name == "fastgan"
    ]  # it didn't fall back
    for found, expected in zip(compiled, both_times(recipe)):
        assert found.keys() == expected.keys()
        for key in found:
            torch.testing.assert_close(found[key], expected[key])
