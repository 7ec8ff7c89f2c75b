"""Updates that the device skips equal those that the host skips; fused Adam needs its layouts."""

from __future__ import annotations

import importlib
import math
from unittest.mock import patch

import pytest
import torch

from fastgan.recipes import Batch, ImageSpec, optimizers
from fastgan.training import skips, step
from fastgan.training.log import MeanStats
from fastgan.training.state import TrainState
from fastgan.training.step import TooManySkips, TrainStep
from tests.recipes.small_recipes import small

GAMES = {
    "batch norm": ("dcgan", {}),
    "ada": ("stylegan2-ada", {"penalty_every": 2, "path_length_every": 2}),
    "rmsprop": ("wgan", {"n_critic": 1}),
    "means of weights": ("gan", {"historical_averaging": 0.1, "replay": 4}),
    "fp16": ("gan", {"precision": "fp16"}),
}


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Let a CPU's optimisers be those of a GPU."""
    monkeypatch.setattr(optimizers, "on_gpu", lambda _: True)
    rmsprop = importlib.import_module("torch.optim.rmsprop")
    monkeypatch.setattr(rmsprop, "_get_capturable_supported_devices", lambda **_: ["cpu"])


def step_of(name, **settings):
    recipe = small(name, batch=4, **settings)
    return TrainStep(TrainState.create(recipe, ImageSpec(1, 16)))


def take(trainer, spoilt=()):
    """Take four steps, in some of which real images are NaN; return the statistics."""
    generator = torch.Generator().manual_seed(0)
    stats = []
    for number in range(4):
        images = torch.rand(4, 1, 16, 16, generator=generator)
        if number in spoilt:
            images[1] = math.nan
        stats.append(trainer([Batch(images, torch.zeros(4, dtype=torch.int64))]))
    trainer.settle()
    return stats


@pytest.mark.parametrize("name", GAMES)
def test_the_device_decides_as_the_host(name, as_on_a_gpu, monkeypatch, assert_same):
    game, settings = GAMES[name]
    host = step_of(game, **settings)
    expected = take(host, spoilt=(1, 2))
    assert host.state.skipped["D"] >= 2
    monkeypatch.setattr(step, "make_skips", skips.DeviceSkips)
    device = step_of(game, **settings)
    stats = take(device, spoilt=(1, 2))
    assert_same(
        device.state.state_dict() | {"seconds": 0}, host.state.state_dict() | {"seconds": 0}
    )
    for ours, theirs in zip(stats, expected):
        assert all(value.isnan() for key, value in ours.items() if key not in theirs)
        assert all(torch.equal(ours[key], value) for key, value in theirs.items())


def test_the_device_reports_a_step_later(as_on_a_gpu, monkeypatch):
    monkeypatch.setattr(step, "make_skips", skips.DeviceSkips)
    trainer = step_of("gan")
    nothing = [Batch(torch.full((4, 1, 16, 16), math.nan), torch.zeros(4))]
    for number in range(step.MAX_SKIPS):
        trainer(nothing)
        assert trainer.state.skipped.get("D", 0) == number
    with pytest.raises(TooManySkips, match="gradients of D were infinite or NaN 10 times"):
        trainer(nothing)
    trainer.settle()
    assert trainer.state.skipped == {"D": 11}
    # A resumed run counts on.
    assert skips.DeviceSkips(trainer.state, trainer.snapshot, "cpu").counts.tolist()[0] == [11, 11]


def test_an_optimiser_without_state_is_decided_by_the_host():
    weight = torch.nn.Parameter(torch.ones(2))
    sgd = torch.optim.SGD([weight], lr=1.0)
    for skipped in (True, False):
        weight.grad = torch.ones(2)
        skips.step_unless(torch.tensor(skipped), sgd)
        assert weight.tolist() == ([1, 1] if skipped else [0, 0])


def test_means_leave_out_what_was_skipped():
    means = MeanStats()
    for value in (1.0, math.nan, 4.0):
        means.add({"loss/D": torch.tensor(value), "loss/G": torch.tensor(2.0)})
    means.add({"loss/G": torch.tensor(5.0), "r1/D": torch.tensor(math.nan)})
    means.add({})
    row = means.take()
    assert (row["loss/D"], row["loss/G"]) == (2.5, 2.75) and math.isnan(row["r1/D"])
    assert means.take() == {}


def test_fused_adam_gets_gradients_laid_out_as_their_parameters(as_on_a_gpu):
    """Without the layouts fused Adam on a CPU would take other elements' gradients."""

    def weights(trainer):
        take(trainer)
        return list(trainer.state.networks["G"].parameters())

    with patch.object(optimizers, "on_gpu", lambda _: False):
        plain = weights(step_of("stylegan2"))
    fused = weights(step_of("stylegan2"))
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)
    with patch.object(step, "laid_out_like", lambda parameter, gradient: gradient):
        wrong = weights(step_of("stylegan2"))
    assert max((a - b).abs().max() for a, b in zip(wrong, plain)) > 1e-3


def test_a_state_keeps_the_optimisers_of_its_device(as_on_a_gpu, assert_same):
    with patch.object(optimizers, "on_gpu", lambda _: False):
        here = step_of("gan")
    take(here)
    there = TrainState.create(here.state.recipe, ImageSpec(1, 16))
    there.load_state_dict(here.state.state_dict())
    (group,) = there.optimizers["D"].param_groups
    assert group["fused"] and group["capturable"]
    states = [s.optimizers["D"].state_dict()["state"] for s in (here.state, there)]
    assert_same(*states)
