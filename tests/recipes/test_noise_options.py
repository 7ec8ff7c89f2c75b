"""What the options that noise-to-image recipes share change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from fastgan.recipes import DCGAN, GAN, Batch, Draw, ImageSpec, RecipeError
from fastgan.train.state import TrainState
from fastgan.train.step import TrainStep

LOSSES = ["minimax", "non-saturating", "wasserstein", "hinge", "least-squares", "relativistic"]


def small(**settings):
    return GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), dropout=0.0, batch=4, **settings)


def draws(recipe, nimg=0):
    return recipe.draw_for_d(Draw(4, nimg, torch.Generator().manual_seed(1)))


def prepared(recipe, nimg=0):
    networks = recipe.build_networks(ImageSpec(1, 8))
    real = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    batch = Batch(real, torch.zeros(4, dtype=torch.int64), draws(recipe, nimg))
    return networks, recipe.with_fakes(networks, batch)


def step_of(recipe):
    return TrainStep(TrainState.create(recipe, ImageSpec(1, 8)))


def a_batch(step):
    generator = torch.Generator().manual_seed(0)
    shape = (step.state.recipe.batch, 1, 8, 8)
    return [Batch(torch.rand(shape, generator=generator), torch.zeros(4)) for _ in range(step.batches)]


@pytest.mark.parametrize("penalty", ["none", "wgan-gp", "zero-centered", "r1", "r2", "r1+r2"])
def test_every_loss_trains_both_players_under_every_penalty(penalty):
    for loss in LOSSES:
        step = step_of(small(loss=loss, penalty=penalty))
        before = {name: [p.clone() for p in net.parameters()] for name, net in step.state.networks.items()}
        stats = step(a_batch(step))
        assert all(value.isfinite() for value in stats.values()), loss
        assert (f"{penalty}/D" in stats) == (penalty != "none")
        for name, network in step.state.networks.items():
            assert any(not torch.equal(p, was) for p, was in zip(network.parameters(), before[name])), (
                loss,
                name,
            )


class Constant(nn.Module):
    """D that says the same of every image."""

    def __init__(self, logit):
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, images):
        return self.logit.expand(len(images))


@pytest.mark.parametrize(
    ("settings", "best"),
    [
        ({"real_label": 1.0}, 0.5),
        ({"real_label": 0.9}, 0.45),  # one-sided: the optimum for equal densities is half the label
        ({"real_label": 0.9, "fake_label": 0.3}, 0.6),
    ],
)
def test_label_smoothing_moves_what_an_undecided_d_should_say(settings, best):
    recipe = small(**settings)
    networks, batch = prepared(recipe)
    networks["D"] = Constant(math.log(best / (1 - best)))
    recipe.d_loss(networks, batch).total.backward()
    assert networks["D"].logit.grad.item() == pytest.approx(0, abs=1e-6)


def test_flipped_labels_exchange_real_and_generated():
    straight, flipped, some = small(), small(flip_labels=1.0), small(flip_labels=0.5)
    networks, batch = prepared(flipped)
    swapped = Batch(batch.random["fake"], batch.labels, batch.random | {"fake": batch.real})
    assert flipped.d_loss(networks, batch).total == straight.d_loss(networks, swapped).total
    share = some.draw_for_d(Draw(2000, 0, torch.Generator().manual_seed(0)))["flipped"].float().mean()
    assert share == pytest.approx(0.5, abs=0.05)


def test_instance_noise_blurs_what_d_sees_and_fades():
    recipe = small(instance_noise=0.5, instance_noise_until=1000)
    assert [draws(recipe, nimg)["std"][0].item() for nimg in (0, 500, 1000, 5000)] == [0.5, 0.25, 0, 0]
    seen = []

    class Spy(nn.Module):
        def forward(self, images):
            seen.append(images)
            return images.mean((1, 2, 3))

    for nimg, spread in ((0, 0.5), (5000, 0.0)):
        networks, batch = prepared(recipe, nimg)
        networks["D"] = Spy()
        recipe.d_loss(networks, batch)
        noise = torch.cat([seen[-2] - batch.real, seen[-1] - batch.random["fake"]])
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
        assert largest == pytest.approx(1, rel=0.15)  # 15 iterations at the start
    assert not any("_u" in name for name in networks["G"].state_dict())


def test_orthogonal_regularisation_turns_the_filters_of_g_apart():
    torch.manual_seed(0)
    recipe = DCGAN(z_dim=8, ngf=4, ndf=4, orthogonal=1.0)
    networks = recipe.build_networks(ImageSpec(1, 16))
    filters = networks["G"].layers[3].weight  # [8, 4, 4, 4], a transposed convolution
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
    optimizers = recipe.build_optimizers(recipe.build_networks(ImageSpec(1, 8)))
    c = 16 / 17
    assert optimizers["D"].defaults["lr"] == pytest.approx(4e-3 * c)
    assert optimizers["D"].defaults["betas"] == pytest.approx((0.5**c, 0.9**c))
    assert (optimizers["G"].defaults["lr"], optimizers["G"].defaults["betas"]) == (1e-3, (0.5, 0.9))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"d_lr": -1.0}, "--d-lr must be a positive number, but -1.0 came"),
        ({"n_critic": 0}, "--n-critic must be at least 1, but 0 came"),
        ({"flip_labels": 2.0}, "--flip-labels must be at least 0 and at most 1, but 2.0 came"),
        ({"penalty": "gp"}, "--penalty must be one of none, wgan-gp, .* but gp came"),
        ({"penalty": "r1", "penalty_every": 0}, "--penalty-every must be at least 1"),
        ({"clip_weights": -1.0}, "--clip-weights must be at least 0"),
        ({"orthogonal": -1.0}, "--orthogonal must be at least 0"),
        ({"loss": "hinge", "real_label": 0.9}, "--real-label and --fake-label don't fit --loss hinge"),
        ({"precision": "int8"}, "--precision must be one of fp32, tf32, bf16, fp16, but int8 came"),
        ({"accumulate": 0}, "--accumulate must be at least 1, but 0 came"),
        ({"penalty_weight": 5.0}, "--penalty-weight and --penalty-every are of a --penalty, but none came"),
        ({"penalty_every": 16}, "--penalty-weight and --penalty-every are of a --penalty, but none came"),
        ({"full_precision": ("D",)}, "--full-precision is for --precision bf16 and fp16, but fp32 came"),
        ({"accumulate": 3}, "--accumulate must be a divisor of --batch, 4, but 3 came"),
    ],
)
def test_wrong_options_are_named(settings, says):
    with pytest.raises(RecipeError, match=says):
        small(**settings)


def test_a_network_that_is_not_there_cannot_stay_in_float32():
    recipe = DCGAN(ngf=4, ndf=4, full_precision=("D", "E"), precision="bf16")
    with pytest.raises(RecipeError, match=r"--full-precision must name networks .*\(D, G\), but E came"):
        TrainStep(TrainState.create(recipe, ImageSpec(1, 16)))
