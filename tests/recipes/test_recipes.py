"""The registry of recipes, their settings, networks and players."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import pytest
import torch

from fastgan.errors import FastganError
from fastgan.recipes import DCGAN, GAN, RECIPES, ImageSpec, RecipeError, get_recipe
from fastgan.recipes.noise import NoiseBatch
from fastgan.training.state import TrainState

MNIST = ImageSpec(channels=1, resolution=28, num_classes=10)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_found_by_its_name(name):
    assert get_recipe(name).name == name
    assert get_recipe(name).summary


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_an_adversarial_loss(name):
    recipe: Any = RECIPES[name]()
    loss = recipe.adversarial
    assert loss.has_probabilities == (recipe.loss in ("minimax", "non-saturating"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_to_another_process(name):
    recipe = RECIPES[name](batch=32)
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@pytest.mark.parametrize(("typo", "near"), [("dcgn", "dcgan"), ("DCGAN", "dcgan"), ("gann", "gan")])
def test_unknown_recipe_suggests_the_nearest(typo, near):
    with pytest.raises(RecipeError, match=f"Unknown recipe '{typo}': did you mean '{near}'"):
        get_recipe(typo)


def test_nothing_near_lists_all():
    with pytest.raises(RecipeError, match=r"Unknown recipe 'xyz': The recipes are gan, dcgan"):
        get_recipe("xyz")


@pytest.mark.parametrize(
    "recipe", [GAN(z_dim=7, g_hidden=(3, 4)), GAN.small(), DCGAN(betas=(0.0, 0.9))]
)
def test_settings_survive_json(recipe):
    settings = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert type(recipe).from_settings(settings) == recipe


def test_unknown_setting_is_named():
    with pytest.raises(RecipeError, match=r"doesn't know \(colour\)"):
        GAN.from_settings({"colour": "red"})


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: DCGAN(batch=1), "batch"),
        (lambda: DCGAN(ema=1.0), "ema"),
        (lambda: DCGAN(ema=float("nan")), "ema"),
        (lambda: DCGAN(lr=0.0), "lr"),
        (lambda: DCGAN(lr=float("nan")), "lr"),
        (lambda: DCGAN(betas=(0.5, 1.0)), "betas"),
        (lambda: DCGAN(z_dim=0), "z_dim"),
        (lambda: DCGAN(ngf=0), "ngf"),
        (lambda: GAN(dropout=1.0), "dropout"),
        (lambda: GAN(g_hidden=()), "g_hidden"),
        (lambda: GAN(d_hidden=(0,)), "d_hidden"),
        (lambda: GAN(loss="vanilla"), "loss"),
    ],
)
def test_impossible_settings_are_refused_by_name(make, option):
    with pytest.raises(RecipeError, match=f"^{option} must be"):
        make()


def test_dcgan_names_the_resolutions_it_takes():
    with pytest.raises(
        FastganError, match="resolution must be one of 16, 32, 64, 128, 256 for dcgan, got 28"
    ):
        DCGAN().check_images(MNIST)


def test_gan_takes_the_published_pairs():
    assert (
        sum(p.numel() for n in GAN().build_networks(MNIST).values() for p in n.parameters())
        == 2_023_441
    )
    small = GAN.small().build_networks(MNIST)
    assert sum(p.numel() for n in small.values() for p in n.parameters()) == 550_929


@pytest.mark.parametrize("recipe", [GAN(z_dim=8), DCGAN(z_dim=8, ngf=4, ndf=4)])
def test_players_train_their_own_networks(recipe):
    state = TrainState.create(recipe, ImageSpec(1, 16))
    networks, optimizers, players = state.networks, state.optimizers, state.players
    assert [player.name for player in players] == ["D", "G"]
    for player in players:
        ours = {id(p) for group in optimizers[player.name].param_groups for p in group["params"]}
        assert ours == {id(p) for name in player.networks for p in networks[name].parameters()}
        assert optimizers[player.name].defaults["lr"] == 2e-4
        assert optimizers[player.name].defaults["betas"] == (0.5, 0.999)


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_d_never_moves_g(loss):
    recipe = GAN(z_dim=4, g_hidden=(8,), d_hidden=(8,), loss=loss)
    networks = recipe.build_networks(ImageSpec(1, 8))
    labels = torch.zeros(4, dtype=torch.int64)
    batch = NoiseBatch(torch.rand(4, 1, 8, 8), labels, noise=torch.randn(4, 4))
    d_loss = recipe.d_loss(networks, recipe.with_fakes(networks, batch))
    d_loss.total.backward()
    assert all(p.grad is None for p in networks["G"].parameters())
    assert 0 < d_loss.stats["D(real)"] < 1 and 0 < d_loss.stats["D(fake)"] < 1
    recipe.g_loss(networks, batch).total.backward()
    assert all(p.grad is not None for p in networks["G"].parameters())


def test_samples_follow_their_generator_alone():
    recipe = DCGAN(z_dim=8, ngf=4)
    networks = {
        name: network.eval() for name, network in recipe.build_networks(ImageSpec(3, 16)).items()
    }
    first, second, other = (
        recipe.sample(networks, 3, generator=torch.Generator().manual_seed(seed))
        for seed in (5, 5, 6)
    )
    assert first.shape == (3, 3, 16, 16)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
