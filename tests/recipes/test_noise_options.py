"""Options that noise-to-image recipes share."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import pytest
import torch
from torch import nn

from fastgan.losses.adversarial import ADVERSARIAL_LOSSES
from fastgan.recipes import (
    CGAN,
    DCGAN,
    GAN,
    LSGAN,
    SNGAN,
    WGAN,
    WGANGP,
    Batch,
    DrawRequest,
    ImageSpec,
    ProGAN,
    RecipeError,
    StyleGAN2,
    StyleGAN3T,
)
from fastgan.recipes.noise import NoiseBatch, NoiseToImage
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep


def small(**settings):
    return GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), dropout=0.0, batch=4, **settings)


def draws(recipe, nimg=0):
    return recipe.draw_for_d(
        DrawRequest(4, nimg, torch.Generator().manual_seed(1), shape=(1, 8, 8))
    )


def prepared(recipe, nimg=0):
    networks = recipe.build_networks(ImageSpec(1, 8))
    real = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = NoiseBatch(real, torch.zeros(4, dtype=torch.int64), **draws(recipe, nimg))
    return networks, recipe.with_fakes(networks, batch)


def step_of(recipe):
    return TrainStep(TrainState.create(recipe, ImageSpec(1, 8)))


def a_batch(step):
    generator = torch.Generator().manual_seed(0)
    shape = (step.state.recipe.batch, 1, 8, 8)
    return [
        Batch(torch.rand(shape, generator=generator), torch.zeros(4)) for _ in range(step.batches)
    ]


@pytest.mark.parametrize(
    "penalty", ["none", "wgan-gp", "zero-centered", "r1", "r2", "r1+r2", "dragan"]
)
def test_every_loss_trains_both_players_under_every_penalty(penalty):
    for loss in ADVERSARIAL_LOSSES:
        step = step_of(small(loss=loss, penalty=penalty))
        before = {
            name: [p.clone() for p in net.parameters()] for name, net in step.state.networks.items()
        }
        stats = step(a_batch(step))
        assert all(value.isfinite() for value in stats.values()), loss
        assert (f"{penalty}/D" in stats) == (penalty != "none")
        for name, network in step.state.networks.items():
            assert any(
                not torch.equal(p, was) for p, was in zip(network.parameters(), before[name])
            ), (
                loss,
                name,
            )


class Constant(nn.Module):
    """D with the same logit for every image."""

    def __init__(self, logit):
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, images):
        return self.logit.expand(len(images))


@pytest.mark.parametrize(
    ("settings", "best"),
    [
        ({"real_label": 1.0}, 0.5),
        # One-sided: the optimum for equal densities is half the label.
        ({"real_label": 0.9}, 0.45),
        ({"real_label": 0.9, "fake_label": 0.3}, 0.6),
    ],
)
def test_label_smoothing_moves_the_optimum_of_an_undecided_d(settings, best):
    recipe = small(**settings)
    networks, batch = prepared(recipe)
    networks["D"] = Constant(math.log(best / (1 - best)))
    recipe.d_loss(networks, batch).total.backward()
    assert networks["D"].logit.grad.item() == pytest.approx(0, abs=1e-6)


def test_flipped_labels_exchange_real_and_generated():
    straight, flipped, some = small(), small(flip_labels=1.0), small(flip_labels=0.5)
    networks, batch = prepared(flipped)
    swapped = replace(batch, real=batch.fakes, fakes=batch.real)
    assert flipped.d_loss(networks, batch).total == straight.d_loss(networks, swapped).total
    share = (
        some.draw_for_d(DrawRequest(2000, 0, torch.Generator().manual_seed(0)))["draws"]
        .flipped.float()
        .mean()
    )
    assert share == pytest.approx(0.5, abs=0.05)


def test_instance_noise_blurs_ds_inputs_and_fades():
    recipe = small(instance_noise=0.5, instance_noise_until=1000)
    spreads = []
    for nimg in (0, 500, 1000, 5000):
        noise = draws(recipe, nimg)["draws"].noise_fake
        spreads.append(0.0 if noise is None else noise.std().item())
    assert spreads == pytest.approx([0.5, 0.25, 0, 0], abs=0.04)
    seen = []

    class Spy(nn.Module):
        def forward(self, images):
            seen.append(images)
            return images.mean((1, 2, 3))

    for nimg, spread in ((0, 0.5), (5000, 0.0)):
        networks, batch = prepared(recipe, nimg)
        networks["D"] = Spy()
        recipe.d_loss(networks, batch)
        noise = torch.cat([seen[-2] - batch.real, seen[-1] - batch.fakes])
        assert noise.std().item() == pytest.approx(spread, abs=0.08)


def test_weights_are_clipped_after_every_update():
    step = step_of(small(loss="wasserstein", clip_weights=0.01, n_critic=2))
    step(a_batch(step))
    assert max(p.abs().max() for p in step.state.networks["D"].parameters()) <= 0.01
    assert max(p.abs().max() for p in step.state.networks["G"].parameters()) > 0.01


@pytest.mark.parametrize("recipe", [GAN, DCGAN])
def test_spectral_norm_bounds_every_layer_of_d(recipe):
    torch.manual_seed(0)
    small = {"g_hidden": (8,), "d_hidden": (8,)} if recipe is GAN else {"ngf": 4, "ndf": 4}
    networks = recipe(spectral_norm=True, z_dim=4, **small).build_networks(ImageSpec(1, 16))
    layers = [m for m in networks["D"].modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item()
        # 15 iterations at the start.
        assert largest == pytest.approx(1, rel=0.15)
    assert not any("_u" in name for name in networks["G"].state_dict())


def test_orthogonal_regularisation_turns_the_filters_of_g_apart():
    torch.manual_seed(0)
    recipe = DCGAN(z_dim=8, ngf=4, ndf=4, orthogonal=1.0)
    networks = recipe.build_networks(ImageSpec(1, 16))
    # [8, 4, 4, 4], a transposed convolution.
    filters = networks["G"].layers[3].weight
    with torch.no_grad():
        filters.copy_(0.05 + 0.02 * torch.randn_like(filters))
    (term,) = recipe.players()[1].regularizers

    def likeness():
        directions = nn.functional.normalize(filters.detach().transpose(0, 1).flatten(1))
        return (directions @ directions.T - torch.eye(4)).abs().max()

    assert likeness() > 0.8
    for _ in range(50):
        (gradient,) = torch.autograd.grad(term.loss(networks, None), filters)
        with torch.no_grad():
            filters -= 0.2 * gradient
    assert likeness() < 0.1


def test_drift_adds_its_share():
    plain, drifting = small(loss="wasserstein"), small(loss="wasserstein", drift=0.5)
    networks, batch = prepared(plain)
    networks["D"] = Constant(3.0)
    difference = drifting.d_loss(networks, batch).total - plain.d_loss(networks, batch).total
    assert difference.item() == pytest.approx(0.5 * 9)


def test_n_critic_counts_ds_updates():
    recipe = small(n_critic=3)
    assert [(player.name, player.updates) for player in recipe.players()] == [("D", 3), ("G", 1)]


def test_rates_of_their_own_and_the_correction_for_lazy_penalties():
    recipe = small(lr=1e-3, d_lr=4e-3, betas=(0.5, 0.9), penalty="r1", penalty_every=16)
    optimizers = TrainState.create(recipe, ImageSpec(1, 8)).optimizers
    c = 16 / 17
    assert optimizers["D"].defaults["lr"] == pytest.approx(4e-3 * c)
    assert optimizers["D"].defaults["betas"] == pytest.approx((0.5**c, 0.9**c))
    assert (optimizers["G"].defaults["lr"], optimizers["G"].defaults["betas"]) == (1e-3, (0.5, 0.9))


def test_n_gen_counts_gs_updates():
    recipe = small(n_gen=2)
    assert [(player.name, player.updates) for player in recipe.players()] == [("D", 1), ("G", 2)]
    step = step_of(recipe)
    # Each update has its own labels and noise.
    assert step.batches == 2
    step(a_batch(step))
    updates = {name: optimizer.state.values() for name, optimizer in step.state.optimizers.items()}
    assert {int(state["step"]) for state in updates["G"]} == {2}
    assert {int(state["step"]) for state in updates["D"]} == {1}


def test_rmsprop_scales_the_gradient_by_its_mean_square():
    step = step_of(small(optimizer="rmsprop", lr=0.01, penalty="r1", penalty_every=4))
    c = 4 / 5
    assert step.state.optimizers["D"].defaults["alpha"] == pytest.approx(0.99**c)
    assert step.state.optimizers["D"].defaults["lr"] == pytest.approx(0.01 * c)
    before = [p.detach().clone() for p in step.state.networks["G"].parameters()]
    step(a_batch(step))
    # The first update is g / √(0.01·g²).
    for p, was in zip(step.state.networks["G"].parameters(), before):
        moved = (p.detach() - was).abs()
        assert moved.max().item() == pytest.approx(0.01 / 0.01**0.5, rel=1e-3)


def test_feature_matching_draws_gs_features_to_the_real_ones():
    recipe = small(feature_matching=2.0)
    torch.manual_seed(0)
    networks, batch = prepared(recipe)
    plain, matched = small().g_loss(networks, batch), recipe.g_loss(networks, batch)
    distance = matched.stats["feature_matching/G"]
    assert (matched.total - plain.total).item() == pytest.approx(2 * distance.item(), rel=1e-5)
    features = networks["D"].features
    with torch.no_grad():
        means = [
            features(images).mean(0) for images in (batch.real, recipe.generate(networks, batch))
        ]
    assert distance.item() == pytest.approx((means[0] - means[1]).square().sum().item(), rel=1e-4)
    optimizer = torch.optim.SGD(networks["G"].parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        recipe.matching_loss(networks, batch, recipe.generate(networks, batch)).backward()
        optimizer.step()
    assert recipe.matching_loss(networks, batch, recipe.generate(networks, batch)) < distance / 2


class Line(nn.Module):
    """D(x) = a·x + b on images of one pixel; its gradient descent has a closed form."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)

    def forward(self, images):
        return self.a * images.flatten() + self.b


class Shift(nn.Module):
    """G(z) = z + θ."""

    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, z):
        return (z[:, 0] + self.theta).view(-1, 1, 1, 1)


@pytest.mark.parametrize("steps", [1, 3])
def test_unrolling_is_g_against_d_some_steps_later(steps):
    """Descent on a and b by formulas, then the loss of G; its gradient by finite differences."""
    one = torch.ones((), dtype=torch.float64)
    recipe, plain = (
        small(loss="least-squares", unroll=k, **({"unroll_lr": 0.3} if k else {}))
        for k in (steps, 0)
    )
    real = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64).view(4, 1, 1, 1)
    z = torch.tensor([[0.1], [-0.4], [0.3], [0.9]], dtype=torch.float64)

    def by_hand(theta):
        a, b, x, fake = 0.4, -0.2, real.flatten(), z[:, 0] + theta
        for _ in range(steps):
            of_real, of_fake = a * x + b - 1, a * fake + b
            slope = (of_real * x).mean() + (of_fake * fake).mean()
            a, b = a - 0.3 * slope, b - 0.3 * (of_real.mean() + of_fake.mean())
        return ((a * fake + b - 1) ** 2).mean().item() / 2

    def gradient_of(recipe):
        networks = {"G": Shift(-0.7 * one), "D": Line(0.4 * one, -0.2 * one).requires_grad_(False)}
        loss = recipe.g_loss(networks, NoiseBatch(real, torch.zeros(4), noise=z)).total
        (gradient,) = torch.autograd.grad(loss, networks["G"].parameters())
        # D itself doesn't change.
        assert (networks["D"].a, networks["D"].b) == (0.4, -0.2)
        return loss.item(), gradient.item()

    loss, gradient = gradient_of(recipe)
    assert loss == pytest.approx(by_hand(-0.7), rel=1e-6)
    assert gradient == pytest.approx((by_hand(-0.7 + 1e-4) - by_hand(-0.7 - 1e-4)) / 2e-4, rel=1e-4)
    assert abs(gradient - gradient_of(plain)[1]) > 0.1 * abs(gradient)


def test_historical_averaging_pulls_each_player_to_its_mean():
    recipe = small(historical_averaging=0.5)
    step = step_of(recipe)
    first = {name: [p.clone() for p in step.state.networks[name].parameters()] for name in "GD"}
    stats = step(a_batch(step))
    # The weights haven't moved yet.
    assert stats["history/D"] == 0 and stats["history/G"] == 0
    for name in "GD":
        history, weights = (
            step.state.networks[f"history_{name}"],
            list(step.state.networks[name].parameters()),
        )
        means = [(was + p) / 2 for was, p in zip(first[name], weights)]
        distance = sum(((p - mean) ** 2).sum() for p, mean in zip(weights, means))
        (term,) = next(p for p in recipe.players() if p.name == name).regularizers
        torch.testing.assert_close(term.loss(step.state.networks, None), 0.5 * distance)
        torch.testing.assert_close(history.mean0, means[0])
    assert step(a_batch(step))["history/D"] > 0


def test_replay_shows_d_older_images_with_their_labels():
    recipe = small(replay=8, conditional=True)
    networks = recipe.build_networks(ImageSpec(1, 8, 3))
    networks["D"] = Spy()
    labels = torch.tensor([0, 1, 2, 0])
    real, generator = torch.zeros(4, 1, 8, 8), torch.Generator().manual_seed(0)
    ages = []
    for number in range(40):
        networks["G"] = lambda z, of, number=number: (
            (number + of / 10).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
        )
        rows = recipe.draw_for_d(DrawRequest(4, 0, generator))
        assert len(set(rows["draws"].replay_slots.tolist())) == 4
        recipe.d_loss(networks, recipe.with_fakes(networks, NoiseBatch(real, labels, **rows)))
        images, of = networks["D"].seen[-1]
        values = images[:, 0, 0, 0]
        # Each image keeps its own label.
        assert torch.equal((10 * (values - values.floor())).round().long(), of)
        ages += (number - values.floor())[number >= 20 :].tolist() if number >= 20 else []
    assert 0.3 < sum(age > 0 for age in ages) / len(ages) < 0.7 and max(ages) > 4


class Spy(nn.Module):
    """D that records its inputs."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, *inputs):
        self.seen.append(inputs)
        return inputs[0].mean((1, 2, 3))


WITH_MEMORY = {"replay": 8, "historical_averaging": 0.1, "minibatch_discrimination": 2, "unroll": 1}


def test_options_with_memory_resume_bit_for_bit():
    recipe = small(**WITH_MEMORY)
    step, again = step_of(recipe), step_of(recipe)
    for _ in range(3):
        step(a_batch(step))
    again.state.load_state_dict(copy.deepcopy(step.state.state_dict()))
    ours, theirs = step(a_batch(step)), again(a_batch(again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for name, network in step.state.networks.items():
        for a, b in zip(
            network.state_dict().values(), again.state.networks[name].state_dict().values()
        ):
            assert torch.equal(a, b), name


def test_labels_reach_both_networks():
    recipe = small(conditional=True)
    networks = recipe.build_networks(ImageSpec(1, 8, 3))
    labels, other = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 2, 0, 1])
    losses = []
    for classes in (labels, other):
        batch = NoiseBatch(torch.ones(4, 1, 8, 8), classes, **draws(recipe))
        batch = recipe.with_fakes(networks, batch)
        losses.append((recipe.d_loss(networks, batch).total, recipe.g_loss(networks, batch).total))
    assert losses[0][0] != losses[1][0] and losses[0][1] != losses[1][1]
    with pytest.raises(RecipeError, match="conditional needs labels"):
        recipe.check_images(ImageSpec(1, 8))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (StyleGAN2, {"minibatch_discrimination", "feature_matching", "spectral_norm"}),
        (StyleGAN3T, {"minibatch_discrimination", "feature_matching", "spectral_norm"}),
        (SNGAN, {"minibatch_discrimination", "minibatch_stddev"}),
        (ProGAN, {"spectral_norm", "replay", "unroll", "unroll_lr", "augment_p", "ada_kimg"}),
    ],
)
def test_a_recipe_lacks_the_settings_of_stabilizers_that_it_cannot_have(kind, missing):
    assert not missing & {entry.name for entry in fields(kind)}
    assert missing < {entry.name for entry in fields(DCGAN)}


def test_points_are_too_small_for_ada():
    with pytest.raises(RecipeError, match="augment must be none or diffaugment for images below 4"):
        GAN(augment="ada").check_images(ImageSpec(2, 1))
    GAN(augment="diffaugment").check_images(ImageSpec(2, 2))


def test_points_have_no_mirror_images_and_no_augmentation():
    for settings in ({"mirror": True}, {"augment": "diffaugment"}):
        (name,) = settings
        with pytest.raises(RecipeError, match=f"{name} must be .* for points"):
            GAN(**settings).check_images(ImageSpec(2, 1))
        GAN(**settings).check_images(ImageSpec(3, 4))


def test_a_recipe_without_stabilizers_trains():
    """The parts that it lacks are switched off."""

    @dataclass(frozen=True, kw_only=True)
    class Plain(NoiseToImage):
        name: ClassVar[str] = "plain"
        build_networks = GAN.build_networks
        g_hidden, d_hidden, g_act, batch_norm, dropout = (8,), (8,), "relu", False, 0.0
        minibatch_discrimination = minibatch_stddev = 0

    step = step_of(Plain(z_dim=4, batch=4))
    assert step(a_batch(step)).keys() == {
        "loss/D", "gradient/D", "D(real)", "D(fake)", "certainty", "loss/G", "gradient/G"
    }  # fmt: skip
    assert set(step.state.networks) == {"G", "D"}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (CGAN(), {"conditional": True, "loss": "non-saturating"}),
        (
            WGAN(),
            {
                "loss": "wasserstein",
                "clip_weights": 0.01,
                "optimizer": "rmsprop",
                "lr": 5e-5,
                "n_critic": 5,
            },
        ),
        (
            WGANGP(),
            {
                "penalty": "wgan-gp",
                "n_critic": 5,
                "lr": 1e-4,
                "betas": (0.0, 0.9),
                "d_norm": "layer",
            },
        ),
        (LSGAN(), {"loss": "least-squares", "real_label": 1.0, "fake_label": 0.0}),
    ],
)
def test_the_papers_settings(recipe, expected):
    assert {name: getattr(recipe, name) for name in expected} == expected
    with torch.device("meta"):
        networks = recipe.build_networks(ImageSpec(3, 64, 10))
    more = 100_000 if recipe.conditional else 0
    assert 0 <= sum(p.numel() for p in networks["G"].parameters()) - 3_576_704 <= more
    assert 0 <= sum(p.numel() for p in networks["D"].parameters()) - 2_765_568 <= more


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"d_lr": -1.0}, "d_lr must be a positive number, got -1.0"),
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"flip_labels": 2.0}, "flip_labels must be at least 0 and at most 1, got 2.0"),
        ({"penalty": "gp"}, "penalty must be one of none, wgan-gp, .* got 'gp'"),
        ({"penalty": "r1", "penalty_every": 0}, "penalty_every must be at least 1"),
        ({"clip_weights": -1.0}, "clip_weights must be at least 0"),
        ({"orthogonal": -1.0}, "orthogonal must be at least 0"),
        ({"n_gen": 0}, "n_gen must be at least 1, got 0"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, rmsprop, got 'sgd'"),
        ({"minibatch_discrimination": -1}, "minibatch_discrimination must be at least 0"),
        (
            {"minibatch_stddev": 3},
            "computed at once are a multiple of minibatch_stddev, 3, or fewer, got 4",
        ),
        ({"feature_matching": -1.0}, "feature_matching must be at least 0"),
        ({"unroll": -1}, "unroll must be at least 0"),
        ({"unroll": 1, "unroll_lr": 0.0}, "unroll_lr must be a positive number"),
        ({"historical_averaging": -0.1}, "historical_averaging must be at least 0"),
        ({"replay": 3}, "replay must be 0 or at least batch, 4, got 3"),
        (
            {"loss": "hinge", "real_label": 0.9},
            "real_label and fake_label don't fit loss hinge",
        ),
        (
            {"precision": "int8"},
            "precision must be one of auto, fp32, tf32, bf16, fp16, got 'int8'",
        ),
        ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
        (
            {"penalty_weight": 5.0},
            "penalty_weight and penalty_every need a penalty, got none",
        ),
        (
            {"penalty_every": 16},
            "penalty_weight and penalty_every need a penalty, got none",
        ),
        (
            {"full_precision": ("D",)},
            "full_precision must be empty where precision is auto, got",
        ),
        ({"accumulate": 3}, "accumulate must be a divisor of batch, 4, got 3"),
    ],
)
def test_wrong_options_are_named(settings, says):
    with pytest.raises(RecipeError, match=says):
        small(**settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"d_norm": "group"}, "d_norm must be one of batch, layer, instance, none, got 'group'"),
        ({"d_dropout": 1.0}, "d_dropout must be at least 0 and less than 1, got 1.0"),
    ],
)
def test_wrong_options_of_convolutional_pairs_are_named(settings, says):
    with pytest.raises(RecipeError, match=says):
        DCGAN(**settings)


def test_a_network_that_is_not_there_cannot_stay_in_float32():
    recipe = DCGAN(ngf=4, ndf=4, full_precision=("D", "E"), precision="bf16")
    with pytest.raises(
        RecipeError, match=r"full_precision must be names of networks .*\(D, G\), got 'E'"
    ):
        TrainStep(TrainState.create(recipe, ImageSpec(1, 16)))
