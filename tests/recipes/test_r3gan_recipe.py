"""r3gan: its steps, its schedules, and the settings that it refuses."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from fastgan.recipes import R3GAN, Batch, ImageSpec, RecipeError
from fastgan.recipes.r3gan import R3GANBatch
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(3, 8, 3)


def small(**settings):
    """Return a recipe with groups in every block, so that it uses grouped convolutions."""
    sizes = {
        "z_dim": 8,
        "channel_base": 64,
        "channel_max": 8,
        "group_size": 2,
        "blocks": 1,
        "batch": 4,
    }
    return R3GAN(**{**sizes, **settings})


def step_of(recipe, **options):
    return TrainStep(TrainState.create(recipe, IMAGES), **options)


def a_batch(recipe):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(recipe.batch) % 3
    return [Batch(torch.randn(recipe.batch, 3, 8, 8, generator=generator), labels)]


def rates(step, name):
    group = step.state.optimizers[name].param_groups[0]
    return group["lr"], group["betas"]


def test_a_step_trains_all_of_both_networks():
    """Residual branches start at 0, so the first step trains only their last layers."""
    step = step_of(small(conditional=True))
    before = {
        name: [p.clone() for p in net.parameters()] for name, net in step.state.networks.items()
    }
    for _ in range(3):
        stats = step(a_batch(step.state.recipe))
    assert set(stats) >= {"loss/D", "loss/G", "r1+r2/D"} and all(
        value.isfinite() for value in stats.values()
    )
    for name, network in step.state.networks.items():
        assert not [
            k
            for (k, p), was in zip(network.named_parameters(), before[name])
            if torch.equal(p, was)
        ], name


def test_settings_go_from_first_to_last_along_a_cosine():
    recipe = small(burn_in_kimg=0.016, lr=1e-3, d_lr=2e-3)
    step, values = step_of(recipe), []
    for _ in range(6):
        step(a_batch(recipe))
        values.append(rates(step, "D"))
    left = [0.5 + 0.5 * math.cos(math.pi * i / 4) for i in range(4)] + [0.0, 0.0]
    for (lr, betas), share in zip(values, left):
        assert lr == pytest.approx(2e-3 * (0.25 + 0.75 * share), rel=1e-6)
        assert betas == pytest.approx((0.0, 0.99 - 0.09 * share), rel=1e-6)
    assert rates(step, "G")[0] == pytest.approx(2.5e-4)
    assert small(burn_in_kimg=0.0).left(0) == 0


def test_the_weight_of_the_penalty_falls_too():
    recipe = small(penalty_weight=3.0)
    networks = recipe.build_networks(IMAGES)
    (batch,) = a_batch(recipe)
    fake = batch.real.flip(0)
    penalties = [
        recipe.penalty_loss(
            networks,
            R3GANBatch(batch.real, batch.labels, fakes=fake, burn_in_left=left.expand(4)),
        )
        for left in torch.tensor([[1.0], [0.0]])
    ]
    assert (
        penalties[0].item() == pytest.approx(10 * penalties[1].item(), rel=1e-5)
        and penalties[1] > 0
    )
    weights = [small().weight_of_penalty(torch.zeros(1, 3, r, r)) for r in (16, 32, 64, 128, 256)]
    assert weights == [0.05, 0.05, 2.0, 150.0, 150.0]


@pytest.mark.parametrize(
    "settings", [{}, {"accumulate": 2, "penalty_every": 2, "augment": "ada", "precision": "bf16"}]
)
def test_a_resumed_run_goes_on_bit_for_bit(settings):
    recipe = small(burn_in_kimg=0.02, conditional=True, **settings)
    step = step_of(recipe)
    for _ in range(3):
        step(a_batch(recipe))
    again = step_of(recipe)
    again.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
    a, b = step(a_batch(recipe)), again(a_batch(recipe))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert rates(step, "D") == rates(again, "D") != rates(step_of(recipe), "D")
    for name, network in step.state.networks.items():
        ours, theirs = network.state_dict(), again.state.networks[name].state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.long
def test_a_compiled_step_trains_as_an_eager_one():
    results = []
    for options in ({}, {"compile": "step", "backend": "aot_eager"}):
        torch._dynamo.reset()
        step = step_of(small(burn_in_kimg=0.016), **options)
        for _ in range(2):
            stats = step(a_batch(step.state.recipe))
        weights = {
            f"{n}.{k}": v
            for n, net in step.state.networks.items()
            for k, v in net.state_dict().items()
        }
        results.append({**stats, **weights})
    eager, compiled = results
    assert eager.keys() == compiled.keys()
    for name in eager:
        torch.testing.assert_close(compiled[name], eager[name], rtol=1e-4, atol=2e-5, msg=name)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"burn_in_kimg": -1.0}, "burn_in_kimg must be at least 0, got -1.0"),
        ({"lr_decay": 0.0}, "lr_decay must be a positive number, got 0.0"),
        ({"last_beta2": 1.0}, "last_beta2 must be at least 0 and less than 1, got 1.0"),
        ({"channel_base": 4}, "channel_base must be at least 8, got 4"),
        (
            {"channel_max": 5, "group_size": 4},
            "group_size must be a divisor of the channels inside of the blocks, 10 at 4×4",
        ),
    ],
)
def test_impossible_settings_are_refused(settings, says):
    with pytest.raises(RecipeError, match=says):
        small(**settings).check_images(IMAGES)


def test_it_names_the_resolutions_it_takes():
    with pytest.raises(RecipeError, match=r"resolution must be one of 8, 16, .* got 28"):
        R3GAN().check_images(ImageSpec(1, 28))
