"""One step of the game: order, n_critic, freezing, lazy regularisers, averaging, randomness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from fastgan.recipes import Batch, ImageSpec, Loss, Player, Recipe, Regularizer
from fastgan.train.samples import sample_images
from fastgan.train.state import TrainState, derive_seed
from fastgan.train.step import NonFiniteLoss, batches_per_step, parameters_are_finite, train_step


@dataclass(frozen=True, kw_only=True)
class TwoPairs(Recipe):
    """The skeleton of a translation GAN: two generators under one optimiser, n_critic, a lazy penalty."""

    name: ClassVar[str] = "two-pairs"
    summary: ClassVar[str] = "for tests"
    averaged: ClassVar[tuple[str, ...]] = ("G_ab", "G_ba")
    n_critic: int = 3
    r1_every: int = 4

    def build_networks(self, images):
        return {name: nn.Linear(4, 4) for name in ("G_ab", "G_ba", "D_a", "D_b")}

    def build_optimizers(self, networks):
        return {
            player.name: torch.optim.SGD(
                [p for n in player.networks for p in networks[n].parameters()], lr=0.1
            )
            for player in self.players()
        }

    def players(self):
        penalty = Regularizer("r1", self.penalty, every=self.r1_every)
        return (
            Player("D", ("D_a", "D_b"), self.d_loss, updates=self.n_critic, regularizers=(penalty,)),
            Player("G", ("G_ab", "G_ba"), self.g_loss),
        )

    def d_loss(self, networks, batch):
        calls.append(
            ("D", batch.labels[0].item(), {n: net.weight.requires_grad for n, net in networks.items()})
        )
        loss = networks["D_a"](batch.real).mean() + networks["D_b"](batch.real).mean()
        return Loss(loss, {"D(real)": loss.sigmoid()})

    def g_loss(self, networks, batch):
        calls.append(
            ("G", batch.labels[0].item(), {n: net.weight.requires_grad for n, net in networks.items()})
        )
        calls.append(("random", torch.rand(()).item()))
        return Loss(networks["D_a"](networks["G_ba"](networks["G_ab"](batch.real))).mean())

    def penalty(self, networks, batch):
        return networks["D_a"].weight.square().sum()

    def sample(self, networks, count, *, generator):
        raise NotImplementedError


calls: list = []


@pytest.fixture(autouse=True)
def fresh_calls():
    calls.clear()


def batches(count: int) -> list[Batch]:
    return [Batch(torch.full((2, 4), float(i + 1)), torch.full((2,), i)) for i in range(count)]


def state_of(recipe: Recipe) -> TrainState:
    return TrainState.create(recipe, ImageSpec(1, 4))


def test_players_move_in_turn_and_only_their_networks_learn():
    recipe = TwoPairs()
    state = state_of(recipe)
    assert batches_per_step(recipe.players()) == 3
    train_step(state, recipe.players(), batches(3))
    moves = [call for call in calls if call[0] != "random"]
    assert [call[:2] for call in moves] == [("D", 0), ("D", 1), ("D", 2), ("G", 0)]
    for player, _, trainable in moves:
        assert {name for name, on in trainable.items() if on} == {n for n in trainable if n[0] == player}


def test_images_shown_count_every_batch():
    state = state_of(TwoPairs())
    train_step(state, state.recipe.players(), batches(3))
    assert (state.step, state.nimg) == (1, 6)


def test_lazy_regulariser_comes_every_fourth_step_times_four():
    recipe = TwoPairs(n_critic=1)
    state = state_of(recipe)
    for step in range(9):
        before = state.networks["D_a"].weight.detach().clone()
        stats = train_step(state, recipe.players(), batches(1))
        moved = before - state.networks["D_a"].weight.detach()
        loss_gradient = torch.full((4, 4), 1 / 4)  # of the mean over 4 outputs, for inputs of 1
        penalty_gradient = 4 * 2 * before if step % 4 == 0 else 0
        torch.testing.assert_close(moved, 0.1 * (loss_gradient + penalty_gradient))
        assert ("r1/D" in stats) == (step % 4 == 0)


def test_statistics_are_detached_scalars():
    state = state_of(TwoPairs())
    stats = train_step(state, state.recipe.players(), batches(3))
    assert set(stats) == {"loss/D", "D(real)", "r1/D", "loss/G"}
    assert all(value.ndim == 0 and not value.requires_grad for value in stats.values())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_loss_stops_before_the_update(bad):
    state = state_of(TwoPairs(n_critic=1))
    before = state.networks["D_a"].weight.detach().clone()
    with pytest.raises(NonFiniteLoss, match=r"loss of D became (nan|inf) after 0 images"):
        train_step(state, state.recipe.players(), [Batch(torch.full((2, 4), bad), torch.zeros(2))])
    assert torch.equal(state.networks["D_a"].weight, before)
    assert parameters_are_finite(state)
    with torch.no_grad():
        state.networks["D_a"].weight[0, 0] = bad
    assert not parameters_are_finite(state)


def test_randomness_follows_seed_and_step_alone():
    def draws(seed: int, disturb: bool) -> list[float]:
        calls.clear()
        state = state_of(TwoPairs(seed=seed))
        for _ in range(2):
            if disturb:
                torch.rand(17)
            train_step(state, state.recipe.players(), batches(3))
        return [call[1] for call in calls if call[0] == "random"]

    first = draws(0, disturb=False)
    assert first == draws(0, disturb=True)
    assert first[0] != first[1]
    assert draws(1, disturb=False)[0] not in first


def test_initial_networks_follow_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    a, b, c = state_of(TwoPairs()), state_of(TwoPairs()), state_of(TwoPairs(seed=1))
    assert torch.rand(()) == expected
    assert torch.equal(a.networks["D_a"].weight, b.networks["D_a"].weight)
    assert not torch.equal(a.networks["D_a"].weight, c.networks["D_a"].weight)


def test_derived_seeds_differ_by_purpose():
    seeds = [derive_seed(0, "step", 1), derive_seed(0, "step", 11), derive_seed(1, "step", 1), derive_seed(0)]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_average_follows_its_formula():
    state = state_of(TwoPairs(ema=0.5, n_critic=1))
    assert set(state.ema) == {"G_ab", "G_ba"}
    mean = state.networks["G_ab"].weight.detach().clone()
    for step in range(12):
        train_step(state, state.recipe.players(), batches(1))
        beta = min(0.5, (step + 1) / (step + 10))
        mean = beta * mean + (1 - beta) * state.networks["G_ab"].weight.detach()
    torch.testing.assert_close(state.ema["G_ab"].weight, mean)
    assert state.sampler["G_ab"] is state.ema["G_ab"]
    assert state.sampler["D_a"] is state.networks["D_a"]


def test_average_takes_batch_norm_along(tiny):
    state = TrainState.create(tiny, ImageSpec(1, 8))
    batch = Batch(torch.rand(16, 1, 8, 8), torch.zeros(16, dtype=torch.int64))
    for _ in range(3):
        train_step(state, tiny.players(), [batch])
    norm = next(m for m in state.ema["G"].modules() if isinstance(m, nn.BatchNorm1d))
    raw = next(m for m in state.networks["G"].modules() if isinstance(m, nn.BatchNorm1d))
    assert norm.num_batches_tracked == raw.num_batches_tracked == 6  # D's and G's turn each run G once
    assert not torch.equal(norm.running_mean, raw.running_mean)
    assert norm.running_mean.any()


def test_sampling_is_chunked_alike_and_puts_networks_back(tiny):
    state = TrainState.create(tiny, ImageSpec(1, 8))
    assert state.networks["G"].training
    whole = sample_images(tiny, state.networks, 10, seed=1, chunk=10)
    parts = sample_images(tiny, state.networks, 10, seed=1, chunk=3)
    assert state.networks["G"].training
    torch.testing.assert_close(parts, whole)  # the noise is the same however it is cut
    assert whole.shape == (10, 1, 8, 8) and not whole.requires_grad
