"""sngan, sagan and biggan: their steps, and the settings that they refuse."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from fastgan.recipes import SAGAN, SNGAN, Batch, BigGAN, ImageSpec, RecipeError
from fastgan.recipes.biggan import truncated_normal
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

IMAGES = ImageSpec(1, 16, 3)
KINDS = [SNGAN, SAGAN, BigGAN]


def small(kind, **settings):
    return kind(**{"z_dim": 6, "ngf": 1, "ndf": 1, "batch": 4, "conditional": True, **settings})


def step_of(recipe, **options):
    return TrainStep(TrainState.create(recipe, IMAGES), **options)


def batches(step, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        Batch(torch.randn(4, 1, 16, 16, generator=generator), torch.arange(4) % 3)
        for _ in range(step.batches)
    ]


def switch_attention_on(step):
    """Set attention's gain, since at its start, 0, only the gain itself gets a gradient."""
    for network in step.state.networks.values():
        for name, p in network.named_parameters():
            if name.endswith("attention.gain"):
                p.data.fill_(0.5)


def normalised(network):
    return [m for m in network.modules() if parametrize.is_parametrized(m, "weight")]


def test_the_papers_settings():
    common = {"loss": "hinge", "spectral_norm": True}
    for kind, expected in (
        (SNGAN, {"lr": 2e-4, "d_lr": None, "betas": (0.0, 0.9), "n_critic": 5, "z_dim": 128}),
        (SAGAN, {"lr": 1e-4, "d_lr": 4e-4, "betas": (0.0, 0.9), "n_critic": 1,
                 "conditional": True}),
        (BigGAN, {"lr": 5e-5, "d_lr": 2e-4, "betas": (0.0, 0.999), "n_critic": 2, "ema": 0.9999,
                  "orthogonal": 1e-4}),
    ):  # fmt: skip
        recipe = kind()
        assert {name: getattr(recipe, name) for name in (*expected, *common)} == {
            **expected,
            **common,
        }


def test_where_spectral_norm_is():
    """In all of D; in all of SAGAN's and BigGAN's G, including the maps of batch norms."""
    torch.manual_seed(0)
    built = {kind: small(kind).build_networks(IMAGES) for kind in KINDS}
    for kind, networks in built.items():
        layers = [m for m in networks["D"].modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
        assert len(normalised(networks["D"])) == len(layers), kind
    assert not normalised(built[SNGAN]["G"])
    assert len(normalised(built[SAGAN]["G"])) == 1 + 2 * 3 + 4 + 1
    assert len(normalised(built[BigGAN]["G"])) == 1 + 2 * 3 + 4 + 1 + 2 * 4
    assert not normalised(small(SAGAN, g_spectral_norm=False).build_networks(IMAGES)["G"])


@pytest.mark.parametrize("attention", [None, 0])
def test_attention_is_in_both_networks_unless_it_is_off(attention):
    networks = small(SAGAN, attention=attention).build_networks(IMAGES)
    for name in "GD":
        kinds = [type(m).__name__ for m in networks[name].modules()]
        assert kinds.count("SelfAttention2d") + kinds.count("ParametrizedSelfAttention2d") == (
            attention is None
        )
    assert (
        SAGAN().attention_at(ImageSpec(3, 128)) == 32
        and BigGAN().attention_at(ImageSpec(3, 128)) == 64
    )
    assert SAGAN().attention_at(ImageSpec(3, 32)) == BigGAN().attention_at(ImageSpec(3, 32)) == 16


@pytest.mark.parametrize("penalty", ["none", "r1"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_trains_all_of_both_networks(kind, penalty):
    step = step_of(small(kind, ngf=2, ndf=2, penalty=penalty, n_critic=1))
    switch_attention_on(step)
    before = {
        name: [p.clone() for p in net.parameters()] for name, net in step.state.networks.items()
    }
    stats = step(batches(step))
    assert all(value.isfinite() for value in stats.values()) and (f"{penalty}/D" in stats) == (
        penalty != "none"
    )
    for name, network in step.state.networks.items():
        unmoved = [
            key
            for (key, p), was in zip(network.named_parameters(), before[name])
            if torch.equal(p, was)
        ]
        assert unmoved == [], name


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_continues_bit_for_bit(kind):
    recipe = small(kind, ema=0.9, n_critic=2)
    step = step_of(recipe)
    step(batches(step))
    again = step_of(recipe)
    again.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
    stats = [each(batches(each, seed=1)) for each in (step, again)]
    assert stats[0].keys() == stats[1].keys()
    assert all(torch.equal(stats[0][name], stats[1][name]) for name in stats[0])
    for ours, theirs in zip(
        step.state.ema["G"].state_dict().values(), again.state.ema["G"].state_dict().values()
    ):
        assert torch.equal(ours, theirs)


def test_truncation_keeps_the_order_and_gives_the_truncated_distribution():
    z = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    for threshold in (0.04, 0.5, 2.0):
        cut = truncated_normal(z, threshold)
        assert cut.abs().max() <= threshold
        assert (cut[z.argsort()].diff() >= 0).all()
        redrawn = torch.randn(2_000_000, generator=torch.Generator().manual_seed(1))
        redrawn = redrawn[redrawn.abs() <= threshold]
        for q in (0.1, 0.3, 0.5, 0.8):
            assert cut.quantile(q) == pytest.approx(
                redrawn[:30_000].quantile(q), abs=0.03 * threshold
            )
    assert torch.allclose(truncated_normal(z, 9.0), z, atol=1e-4)
    assert truncated_normal(torch.tensor([-9.0, 9.0]), 0.5).tolist() == [-0.5, 0.5]
    with pytest.raises(ValueError, match="threshold must be more than 0, got 0"):
        truncated_normal(z, 0)


def test_samples_are_of_truncated_noise():
    recipe = small(BigGAN, truncation=0.5)
    networks = {name: network.eval() for name, network in recipe.build_networks(IMAGES).items()}
    seen = []
    networks["G"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    z, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    recipe.images_of(networks, z, labels)
    dataclasses.replace(recipe, truncation=0.1).images_of(networks, z, labels)
    small(BigGAN).images_of(networks, z, labels)
    assert torch.equal(seen[0], truncated_normal(z, 0.5)) and torch.equal(
        seen[1], truncated_normal(z, 0.1)
    )
    assert torch.equal(seen[2], z)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SNGAN(ngf=0), "ngf must be at least 1, got 0"),
        (lambda: SNGAN(ndf=0), "ndf must be at least 1, got 0"),
        (lambda: BigGAN(truncation=0.0), "truncation must be more than 0, got 0.0"),
        (lambda: BigGAN(embedding_dim=0), "embedding_dim must be at least 1, got 0"),
        (lambda: SNGAN().check_images(ImageSpec(1, 28)), "resolution must be one of 16, 32, .* "
                                                         "for sngan, got 28"),
        (lambda: SAGAN(attention=32).check_images(ImageSpec(1, 32, 2)), "attention must be 0 or "
                                                                        ".* 8, 16 .* got 32"),
        (lambda: BigGAN(z_dim=6).check_images(ImageSpec(1, 256, 2)), "z_dim must be at least 7 "
                                                                     "at 256×256, one part"),
        (lambda: SAGAN().check_images(ImageSpec(1, 32)), "needs labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(RecipeError, match=says):
        make()


def test_g_can_match_ds_features():
    step = step_of(small(SAGAN, feature_matching=1.0))
    assert step(batches(step))["feature_matching/G"] > 0


@pytest.mark.long
def test_classes_are_learned():
    """Class 0 is dark, class 1 is bright, and G soon draws them so."""
    step = step_of(small(BigGAN, ngf=2, ndf=4, batch=8, n_critic=1, ema=0.0, lr=1e-3, d_lr=2e-3))
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        labels = torch.randint(2, (8,), generator=generator)
        real = (1.2 * labels - 0.6).view(8, 1, 1, 1) + 0.1 * torch.randn(
            8, 1, 16, 16, generator=generator
        )
        step([Batch(real, labels)])
    G, z = step.state.networks["G"].eval(), torch.randn(64, 6, generator=generator)
    with torch.no_grad():
        dark, bright = (G(z, torch.full((64,), k)).mean().item() for k in (0, 1))
    assert bright - dark > 0.6
