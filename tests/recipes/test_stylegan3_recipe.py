"""stylegan3-t and stylegan3-r: their defaults, their steps and the blur of D's images."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fastgan.networks.stylegan3 import plan_layers
from fastgan.ops import filter2d
from fastgan.recipes import (
    DrawRequest,
    ImageSpec,
    RecipeError,
    StyleGAN,
    StyleGAN2,
    StyleGAN3R,
    StyleGAN3T,
)
from fastgan.recipes.stylegan3 import BlurBatch, blur_taps
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(3, 16, 3)
KINDS = [StyleGAN3T, StyleGAN3R]


def small(kind=StyleGAN3T, **settings):
    sizes = {"z_dim": 8, "w_dim": 8, "channel_base": 32, "channel_max": 4, "num_layers": 3}
    return kind(**{**sizes, "batch": 4, **settings})


def a_batch(recipe):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(recipe.batch) % 3
    return [BlurBatch(torch.randn(recipe.batch, 3, 16, 16, generator=generator), labels)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_trains_all_of_both_networks(kind):
    step = TrainStep(TrainState.create(small(kind, conditional=True), IMAGES))
    state = step.state
    before = {name: [p.clone() for p in net.parameters()] for name, net in state.networks.items()}
    ema = state.networks["G"].synthesis.L0.magnitude_ema.clone()
    stats = step(a_batch(state.recipe))
    assert all(value.isfinite() for value in stats.values()) and "r1/D" in stats
    for name, network in state.networks.items():
        for (key, p), was in zip(network.named_parameters(), before[name]):
            assert not torch.equal(p, was), f"{name}: {key}"
    assert not torch.equal(state.networks["G"].synthesis.L0.magnitude_ema, ema)


def test_the_papers_defaults():
    rates = {
        name: group["lr"]
        for name, optimizer in TrainState.create(small(), IMAGES).optimizers.items()
        for group in optimizer.param_groups
    }
    assert rates == {"D": pytest.approx(2e-3 * 16 / 17), "G": 2.5e-3}
    for resolution, gamma in ((128, 0.5), (256, 2), (512, 8), (1024, 32)):
        assert small().weight_of_penalty(torch.zeros(1, 1, resolution, resolution)) == gamma
    # An average moves with each micro-batch.
    for settings in ({"batch": 16}, {"batch": 32, "accumulate": 2}):
        g = small(**settings).build_networks(IMAGES)["G"]
        assert g.config["magnitude_ema_beta"] == pytest.approx(0.99944564)
    assert StyleGAN3T().sigma(0) == 0 and StyleGAN3R().sigma(0) == 10
    assert StyleGAN3R(batch=16).sigma(50_000) == 5 and StyleGAN3R().sigma(200_000) == 0


@pytest.mark.parametrize("kind", [StyleGAN, StyleGAN2, StyleGAN3T])
def test_the_mean_of_w_decays_once_per_step_with_micro_batches(kind):
    for accumulate in (1, 2):
        recipe = kind(
            batch=8, accumulate=accumulate, channel_base=32, channel_max=8, z_dim=4, w_dim=4
        )
        beta = recipe.build_networks(IMAGES)["G"].mapping.w_avg_beta
        assert beta**accumulate == pytest.approx(0.998, rel=1e-12)


def test_r_has_twice_the_channels_in_g_alone():
    t, r = (small(kind, channel_max=8).build_networks(IMAGES) for kind in KINDS)
    assert r["G"].config["channel_base"] == 2 * t["G"].config["channel_base"] == 64
    assert r["G"].config["channel_max"] == 16 and r["G"].config["kernel_size"] == 1
    assert r["D"].config == t["D"].config
    _, plans = plan_layers(16, 3, **{k: r["G"].config[k] for k in ("num_layers", "radial")})
    assert [plan.radial for plan in plans] == [True, False, False, False]


@pytest.mark.parametrize(
    ("sigma", "taps", "centre", "first"),
    [
        (10.0, 61, 0.04698721343228454, 9.177190123493074e-05),
        (3.0, 19, 0.15660032123656373, 0.00030586000241516353),
        (0.5, 3, 0.8888888888888888, 0.05555555555555555),
    ],
)
def test_taps_of_the_blur(sigma, taps, centre, first):
    own, padded = blur_taps(sigma, most=sigma), blur_taps(sigma, most=10)
    assert own.numel() == taps and padded.numel() == 61
    assert own[taps // 2].item() == pytest.approx(centre, rel=1e-6)
    assert own[0].item() == pytest.approx(first, rel=1e-5)
    x = torch.randn(1, 2, 16, 16)
    assert torch.allclose(filter2d(x, own), filter2d(x, padded), atol=1e-6)
    assert blur_taps(0.3, most=10) is None


def test_both_players_see_blurred_images_until_the_blur_ends():
    recipe = small(StyleGAN3R, augment="none")
    networks = recipe.build_networks(IMAGES)
    early, late = (
        recipe.draw_for_d(DrawRequest(4, nimg, torch.Generator().manual_seed(0), networks))
        for nimg in (0, 25_000)
    )
    assert "blur" not in late
    batch = dataclasses.replace(a_batch(recipe)[0], **early)
    blurred = filter2d(batch.real, blur_taps(10, most=10))
    for side in ("real", "fake"):
        found = recipe.critic(networks, batch, side)(batch.real)
        assert torch.allclose(found, networks["D"](blurred), atol=1e-6)
    assert "blur" in recipe.draw_for_g(DrawRequest(4, 0, torch.Generator(), networks))


def test_a_transferred_run_has_no_blur():
    assert small(StyleGAN3R).begin_with({}, IMAGES) == {"blur_sigma": 0.0}
    assert small().begin_with({}, IMAGES) == {}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"half_resolutions": -1}, "half_resolutions must be at least 0, got -1"),
        ({"margin": -1}, "margin must be at least 0"),
        ({"num_layers": 2}, "num_layers must be at least 3, got 2"),
        ({"batch": 6}, "batch must be such that .* multiple of group_size, 4"),
        ({"w_avg_beta": 2.0}, "w_avg_beta must be at least 0 and at most 1"),
        ({"blur_sigma": -1.0}, "blur_sigma must be at least 0"),
        ({"blur_fade_kimg": 0.0}, "blur_fade_kimg must be above 0"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(RecipeError, match=says):
        small(**settings)


@pytest.mark.parametrize(
    ("settings", "images", "says"),
    [
        ({}, ImageSpec(3, 8), "resolution must be one of 16, .*1024 for stylegan3-t, got 8"),
        ({"channel_base": 8}, IMAGES, "channel_base must be at least the resolution, 16"),
    ],
)
def test_images_are_checked(settings, images, says):
    with pytest.raises(RecipeError, match=says):
        small(**settings).check_images(images)
