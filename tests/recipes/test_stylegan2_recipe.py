"""stylegan2 and stylegan2-ada: their steps, and the settings that they refuse."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fastgan.losses import penalties
from fastgan.recipes import DrawRequest, ImageSpec, RecipeError, StyleGAN2, StyleGAN2ADA
from fastgan.recipes.styles import StyleBatch
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(3, 8, 3)


def small(kind=StyleGAN2, **settings):
    sizes = {
        "z_dim": 8,
        "w_dim": 8,
        "channel_base": 32,
        "channel_max": 4,
        "mapping_layers": 2,
        "batch": 4,
    }
    return kind(**{**sizes, **settings})


def step_of(recipe, images=IMAGES):
    return TrainStep(TrainState.create(recipe, images))


def a_batch(recipe):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(recipe.batch) % 3
    return [StyleBatch(torch.randn(recipe.batch, 3, 8, 8, generator=generator), labels)]


def drawn(recipe, networks, count=4):
    return recipe.draw_for_d(DrawRequest(count, 0, torch.Generator().manual_seed(1), networks))


def test_lazy_terms_have_their_intervals():
    """R1 every 16 steps and path length every 4, each an update of its own (appendix B)."""
    step = step_of(small())
    terms = [set(step(a_batch(step.state.recipe))) & {"r1/D", "path_length/G"} for _ in range(17)]
    both, length = {"r1/D", "path_length/G"}, {"path_length/G"}
    assert [i for i, names in enumerate(terms) if names == both] == [0, 16]
    assert [i for i, names in enumerate(terms) if names == length] == [4, 8, 12]
    rates = {name: optimizer.param_groups[0] for name, optimizer in step.state.optimizers.items()}
    assert rates["D"]["lr"] == pytest.approx(2e-3 * 16 / 17) and rates["G"]["lr"] == pytest.approx(
        2e-3 * 4 / 5
    )
    assert rates["G"]["betas"] == pytest.approx((0.0, 0.99**0.8))


@pytest.mark.parametrize("kind", [StyleGAN2, StyleGAN2ADA])
def test_a_step_trains_all_of_both_networks(kind):
    step = step_of(small(kind, conditional=True))
    before = {
        name: [p.clone() for p in net.parameters()] for name, net in step.state.networks.items()
    }
    stats = step(a_batch(step.state.recipe))
    assert all(value.isfinite() for value in stats.values())
    for name, network in step.state.networks.items():
        unmoved = [
            key
            for (key, p), was in zip(network.named_parameters(), before[name])
            if torch.equal(p, was)
        ]
        assert unmoved == [], name


def test_r1_alone_generates_no_images():
    recipe = small(penalty_every=2)
    step, calls = step_of(recipe), []
    step.state.networks["G"].synthesis.register_forward_hook(lambda *_: calls.append(1))
    step(a_batch(recipe))
    # For D, for G, and for the path length.
    assert len(calls) == 3


def test_the_average_of_g():
    """Half-life of 10,000 images, at most a twentieth of those shown; `ema` takes precedence."""
    assert small().ema_decay(0, nimg=4000, images=100) == pytest.approx(0.5 ** (100 / 200))
    assert small().ema_decay(0, nimg=10**6, images=100) == pytest.approx(0.5 ** (100 / 10_000))
    assert small(ema=0.9).ema_decay(10**6, nimg=10**6, images=100) == 0.9
    assert small(ema_kimg=0.0).averages == () and small().averages == ("G",)


def test_the_weights_of_the_penalties():
    assert small().weight_of_penalty(torch.zeros(1, 3, 1024, 1024)) == 10
    assert small().weight_of_penalty(torch.zeros(1, 3, 32, 32)) == pytest.approx(10 / 1024)
    assert small(penalty_weight=3.0).weight_of_penalty(torch.zeros(1, 3, 32, 32)) == 3


def test_the_path_length_takes_half_of_the_batch_and_moves_its_mean():
    recipe = small(style_mixing=0.0)
    networks = recipe.build_networks(IMAGES)
    batch = dataclasses.replace(a_batch(recipe)[0], **drawn(recipe, networks))
    torch.manual_seed(0)
    loss = recipe.g_terms()[0].loss(networks, batch)
    mean = networks["path_length"].mean
    torch.manual_seed(0)
    ws = networks["G"].mapping(batch.noise[:2])
    images = networks["G"].synthesis(ws)
    penalty, expected = penalties.path_length(images, ws, torch.randn_like(images), torch.zeros(()))
    assert torch.equal(mean, expected) and mean > 0
    assert loss.item() == pytest.approx(2 / 64 * penalty.item(), rel=1e-5)
    assert "path_length" not in small(path_length_weight=0.0).build_networks(IMAGES)


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
def test_the_path_length_has_the_papers_weight(resolution):
    """γ·E[(‖J_wᵀy‖ - a)²] with squares summed over all layers (Karras et al. 2020, appendix B)."""
    recipe = small(style_mixing=0.0, channel_base=64, batch=2, path_length_shrink=1)
    networks = recipe.build_networks(ImageSpec(1, resolution))
    real, labels = torch.zeros(2, 1, resolution, resolution), torch.zeros(2, dtype=torch.int64)
    batch = StyleBatch(real, labels, **drawn(recipe, networks, 2))
    networks["path_length"].mean.fill_(3.0)
    torch.manual_seed(0)
    loss = recipe.g_terms()[0].loss(networks, batch)
    torch.manual_seed(0)
    ws = networks["G"].mapping(batch.noise)
    images = networks["G"].synthesis(ws)
    (gradient,) = torch.autograd.grad(images, ws, torch.randn_like(images))
    layers = ws.shape[1]
    assert layers == 2 * math.log2(resolution) - 2
    lengths = gradient.square().sum((1, 2)).sqrt()
    running = 0.99 * 3.0 * layers**0.5 + 0.01 * lengths.mean()
    gamma = math.log(2) / (resolution**2 * (math.log(resolution) - math.log(2)))
    assert loss.item() == pytest.approx(
        (gamma * (lengths - running).square().mean()).item(), rel=1e-3
    )


def test_style_mixing():
    """An image has its own styles up to some layer, at least the first, then another z's."""
    recipe = small(style_mixing=0.5)
    networks = recipe.build_networks(IMAGES)
    real, labels = torch.zeros(1000, 3, 8, 8), torch.zeros(1000, dtype=torch.int64)
    batch = StyleBatch(real, labels, **drawn(recipe, networks, 1000))
    with torch.no_grad():
        mixed = recipe.styles(networks, batch)
        own, other = map(networks["G"].mapping, (batch.noise, batch.mixed_noise))
    is_own = (mixed == own).all(2)
    assert ((mixed == other).all(2) | is_own).all() and is_own[:, 0].all()
    assert (is_own.int().diff(dim=1) <= 0).all(), "once the other's, always the other's"
    assert is_own.all(1).float().mean() == pytest.approx(0.5, abs=0.06)
    last = is_own[~is_own.all(1)].sum(1).bincount()[1:].float()
    assert last / last.sum() == pytest.approx(torch.full([3], 1 / 3), abs=0.1)


def test_a_resumed_run_continues_bit_for_bit():
    recipe = small(StyleGAN2ADA, ada_kimg=0.04)
    step = step_of(recipe)
    with torch.no_grad():
        # So that p moves.
        step.state.networks["D"].b4.out.bias.fill_(100.0)
    for _ in range(6):
        step(a_batch(recipe))
    saved = step.state.state_dict()
    again = step_of(recipe)
    again.state.load_state_dict(saved)
    networks = again.state.networks
    assert networks["augment"].p > 0 and networks["augment"].signs[1] == 8
    assert networks["path_length"].mean > 0 and networks["G"].mapping.w_avg.any()
    a, b = step(a_batch(recipe)), again(a_batch(recipe))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_p_follows_the_signs_of_d():
    """p rises while D knows the images, by images shown over 1000·kimg, every fourth batch."""
    recipe = small(StyleGAN2ADA, ada_kimg=0.064, lr=1e-9)
    step = step_of(recipe)
    with torch.no_grad():
        step.state.networks["D"].b4.out.bias.fill_(100.0)
    values = [step(a_batch(recipe))["augment_p"].item() for _ in range(9)]
    assert values == [0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0.5]
    with torch.no_grad():
        step.state.networks["D"].b4.out.bias.fill_(-100.0)
    for _ in range(4):
        step(a_batch(recipe))
    assert step.state.networks["augment"].p == 0.25


@pytest.mark.parametrize("augment", ["diffaugment", "ada"])
def test_augmentations_are_alike_in_pieces(augment):
    """Augmentations are drawn beforehand, so micro-batches change no gradient."""
    pipe = {"augment_p": 0.8} if augment == "ada" else {}
    ends = []
    for accumulate in (1, 2):
        recipe = small(
            augment=augment, accumulate=accumulate, group_size=1, path_length_weight=0.0, **pipe
        )
        step = step_of(recipe)
        for network in step.state.networks.values():
            for name, p in network.named_parameters():
                if name.endswith("noise.strength"):
                    p.data.zero_()
        step(a_batch(recipe))
        ends.append(
            torch.cat([p.detach().flatten() for p in step.state.networks["D"].parameters()])
        )
    assert torch.allclose(*ends, atol=2e-5)


def test_samples_are_the_same_however_many_are_asked_for():
    recipe = small(conditional=True)
    networks = recipe.build_networks(IMAGES)
    many, few = (
        recipe.sample(networks, n, generator=torch.Generator().manual_seed(3)) for n in (5, 2)
    )
    assert many.shape == (5, 3, 8, 8) and torch.allclose(many[:2], few, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"style_mixing": 1.5}, "style_mixing must be at least 0 and at most 1, got 1.5"),
        ({"path_length_weight": -1.0}, "path_length_weight must be at least 0, got -1.0"),
        ({"path_length_every": 0}, "path_length_every must be at least 1, got 0"),
        (
            {"ema": 0.9, "ema_kimg": 5.0},
            r"ema and ema_kimg exclude each other, got 0.9 and 5.0: choose one",
        ),
        (
            {"batch": 7},
            "batch must be such that the images computed at once are a multiple of group_size, 4",
        ),
        ({"channel_base": 4}, "channel_base must be at least 8, got 4"),
        ({"augment_p": 0.5}, "need augment ada, got none: add augment ada, or leave them out"),
        (
            {"augment": "ada", "augment_p": 1.5},
            "augment_p must be at least 0 and at most 1, got 1.5",
        ),
        (
            {"augment": "ada", "ada_target": 1.0},
            "ada_target must be between 0 and 1, got 1.0",
        ),
        ({"half_resolutions": -1}, "half_resolutions must be at least 0, got -1"),
        (
            {"precision": "bf16", "full_precision": ("G",)},
            "full_precision must be a tuple of D, got",
        ),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(RecipeError, match=said):
        small(**settings)


@pytest.mark.parametrize(
    ("settings", "images", "said"),
    [
        ({}, ImageSpec(3, 24), "resolution must be one of 8, 16, .*1024 for stylegan2, got 24"),
        (
            {"conditional": True},
            ImageSpec(3, 8),
            "conditional needs labels, but the data set has none",
        ),
        (
            {"channel_base": 16},
            ImageSpec(3, 32),
            "channel_base must be at least the resolution, 32, got 16",
        ),
    ],
)
def test_images_that_cannot_be(settings, images, said):
    with pytest.raises(RecipeError, match=said):
        small(**settings).check_images(images)
