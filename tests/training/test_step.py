"""One step of the game: order, n_critic, freezing, regularisers, accumulation, and skips.

It covers averaging and randomness too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from fastgan.inference.samples import sample_images
from fastgan.recipes import Batch, ImageSpec, Loss, Player, Recipe, RecipeError, Regularizer
from fastgan.recipes.pair import Pair
from fastgan.recipes.players import ABSENT, concatenate
from fastgan.seeds import derive_seed
from fastgan.training.distributed import World
from fastgan.training.state import TrainState
from fastgan.training.step import TooManySkips, TrainStep, parameters_are_finite


@dataclass(frozen=True)
class PairsBatch(Batch):
    noise: Tensor = ABSENT
    fakes: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class TwoPairs(Recipe):
    """Skeleton of a translation GAN.

    It has two generators under one optimiser, n_critic, and a lazy penalty.
    """

    name: ClassVar[str] = "two-pairs"
    batch_type: ClassVar[type[Batch]] = PairsBatch
    summary: ClassVar[str] = "for tests"
    averaged: ClassVar[tuple[str, ...]] = ("G_ab", "G_ba")
    batch: int = 2
    n_critic: int = 3
    r1_every: int = 4
    lr: float = 0.1

    def build_networks(self, images):
        return {name: nn.Linear(4, 4) for name in ("G_ab", "G_ba", "D_a", "D_b")}

    def sgd(self, parameters, correction):
        return torch.optim.SGD(parameters, lr=self.lr * correction)

    def players(self):
        penalty = Regularizer("r1", self.penalty, every=self.r1_every)
        return (
            Player(
                "D",
                ("D_a", "D_b"),
                self.d_loss,
                updates=self.n_critic,
                regularizers=(penalty,),
                draw=draw_z,
                optimizer=self.sgd,
            ),
            Player("G", ("G_ab", "G_ba"), self.g_loss, draw=draw_z, optimizer=self.sgd),
        )

    def d_loss(self, networks, batch):
        calls.append(
            (
                "D",
                batch.labels[0].item(),
                {n: net.weight.requires_grad for n, net in networks.items()},
            )
        )
        loss = networks["D_a"](batch.real).mean() + networks["D_b"](batch.real).mean()
        return Loss(loss, {"D(real)": loss.sigmoid()})

    def g_loss(self, networks, batch):
        calls.append(
            (
                "G",
                batch.labels[0].item(),
                {n: net.weight.requires_grad for n, net in networks.items()},
            )
        )
        calls.append(("drawn", batch.noise.tolist()))
        calls.append(("random", torch.rand(()).item()))
        return Loss(networks["D_a"](networks["G_ba"](networks["G_ab"](batch.real))).mean())

    def penalty(self, networks, batch):
        return networks["D_a"].weight.square().sum()

    def sample(self, networks, count, *, generator):
        raise NotImplementedError


def draw_z(request):
    return {"noise": torch.rand(request.count, generator=request.generator)}


calls: list = []


@pytest.fixture(autouse=True)
def fresh_calls():
    calls.clear()


def batches(count: int) -> list[Batch]:
    return [Batch(torch.full((2, 4), float(i + 1)), torch.full((2,), i)) for i in range(count)]


def state_of(recipe: Recipe, seed: int = 0) -> TrainState:
    return TrainState.create(recipe, ImageSpec(1, 4), seed=seed)


def step_of(recipe: Recipe, seed: int = 0) -> TrainStep:
    return TrainStep(state_of(recipe, seed))


def test_players_move_in_turn_and_only_their_networks_learn():
    step = step_of(TwoPairs())
    assert step.batches == 3
    step(batches(3))
    moves = [call for call in calls if call[0] in "DG"]
    assert [call[:2] for call in moves] == [("D", 0), ("D", 1), ("D", 2), ("G", 0)]
    for player, _, trainable in moves:
        assert {name for name, on in trainable.items() if on} == {
            n for n in trainable if n[0] == player
        }


def test_images_shown_count_every_batch():
    step = step_of(TwoPairs())
    step(batches(3))
    assert (step.state.step, step.state.nimg) == (1, 6)


@pytest.mark.parametrize("every", [1, 4])
def test_a_regulariser_keeps_its_mean_weight(every):
    step = step_of(TwoPairs(n_critic=1, r1_every=every))
    rate = 0.1 * (4 / 5 if every == 4 else 1)
    # This is the gradient of a mean over 4 outputs, for inputs of 1.
    loss_gradient = torch.full((4, 4), 1 / 4)
    for number in range(9):
        before = step.state.networks["D_a"].weight.detach().clone()
        stats = step(batches(1))
        moved = before - step.state.networks["D_a"].weight.detach()
        if every == 1:
            expected = rate * (loss_gradient + 2 * before)
        else:
            # A lazy penalty has an update of its own, after the loss's.
            after_loss = before - rate * loss_gradient
            expected = rate * (loss_gradient + (4 * 2 * after_loss if number % 4 == 0 else 0))
        torch.testing.assert_close(moved, expected)
        assert ("r1/D" in stats) == (number % every == 0)


@pytest.mark.parametrize(
    ("n_critic", "every", "c"), [(1, 1, 1), (1, 16, 16 / 17), (1, 4, 4 / 5), (5, 4, 20 / 21)]
)
def test_the_lazy_correction_is_the_share_of_the_loss_among_the_updates(n_critic, every, c):
    critic, generator = TwoPairs(n_critic=n_critic, r1_every=every).players()
    assert critic.lazy_correction == pytest.approx(c)
    assert generator.lazy_correction == 1


def test_micro_batches_add_up_to_the_batch():
    whole, pieces = (step_of(TwoPairs(n_critic=1, batch=8, accumulate=n)) for n in (1, 4))
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        batch = [Batch(torch.rand(8, 4, generator=generator), torch.arange(8))]
        seen = [step(batch) for step in (whole, pieces)]
        for name in ("loss/D", "loss/G", "gradient/D", "gradient/G"):
            torch.testing.assert_close(seen[0][name], seen[1][name])
    # each image has its own row, however they are cut
    drawn = [call[1] for call in calls if call[0] == "drawn"]
    assert drawn[0] == [number for piece in drawn[1:5] for number in piece]
    for name, network in whole.state.networks.items():
        torch.testing.assert_close(network.weight, pieces.state.networks[name].weight)


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(RecipeError, match="accumulate must be a divisor of batch, 2, got 3"):
        TwoPairs(accumulate=3)
    with pytest.raises(
        RecipeError, match=r"multiple of the processes times accumulate, 3 × 2, got 4"
    ):
        TrainStep(state_of(TwoPairs(batch=4, accumulate=2)), world=World(torch.device("cpu"), 0, 3))


def test_statistics_are_detached_scalars():
    stats = step_of(TwoPairs())(batches(3))
    assert set(stats) == {"loss/D", "D(real)", "r1/D", "gradient/D", "loss/G", "gradient/G"}
    assert all(value.ndim == 0 and not value.requires_grad for value in stats.values())


def test_the_gradient_norm_is_that_of_all_of_a_players_networks():
    step = step_of(TwoPairs(n_critic=1))
    # This step has no penalty.
    step.state.step = 1
    norm = step(batches(1))["gradient/D"]
    # Two networks have 16 weights and 4 biases each, with gradients of 1/4.
    assert norm.item() == pytest.approx((2 * (16 / 16 + 4 / 16)) ** 0.5)


def spoil(monkeypatch, bad, times):
    """Make the first `times` losses of D `bad`.

    Each of them changes a buffer as well, as batch norm would.
    """
    original = TwoPairs.d_loss

    def d_loss(self, networks, batch):
        loss = original(self, networks, batch)
        spoilt = len([call for call in calls if call[0] == "D"]) <= times
        if spoilt:
            networks["D_a"].seen.fill_(bad)
        return loss._replace(total=loss.total * bad) if spoilt else loss

    def build_networks(self, images):
        networks = build(self, images)
        networks["D_a"].register_buffer("seen", torch.zeros(3))
        return networks

    build = TwoPairs.build_networks
    monkeypatch.setattr(TwoPairs, "d_loss", d_loss)
    monkeypatch.setattr(TwoPairs, "build_networks", build_networks)


@dataclass(frozen=True, kw_only=True)
class Following(TwoPairs):
    """Game with two actions after each update of D."""

    def players(self):
        d, g = super().players()
        names = ("first", "second")
        actions = [lambda networks, name=name: calls.append((name, networks)) for name in names]
        return replace(d, after_update=tuple(actions)), g


def test_actions_follow_each_good_update_in_order(monkeypatch):
    spoil(monkeypatch, float("nan"), times=1)
    step = step_of(Following(n_critic=2, r1_every=2))
    step(batches(2))
    # Of two updates and a lazy one, the first was skipped.
    actions = [call for call in calls if call[0] in ("first", "second")]
    assert [name for name, _ in actions] == ["first", "second"] * 2
    assert all(networks is step.state.networks for _, networks in actions)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_update_that_is_not_finite_is_skipped_and_counted(monkeypatch, bad):
    spoil(monkeypatch, bad, times=2)
    step = step_of(TwoPairs(n_critic=1, r1_every=100))
    state = step.state
    state.step = 1
    before = {name: value.clone() for name, value in state.networks["D_a"].state_dict().items()}
    for count in (1, 2):
        stats = step(batches(1))
        assert "loss/D" not in stats and "loss/G" in stats
        assert state.skipped == {"D": count} and state.skipped_in_a_row == {"D": count, "G": 0}
        assert all(
            torch.equal(value, before[name])
            for name, value in state.networks["D_a"].state_dict().items()
        )
    assert "loss/D" in step(batches(1))
    assert state.skipped == {"D": 2} and state.skipped_in_a_row == {"D": 0, "G": 0}
    assert not torch.equal(state.networks["D_a"].weight, before["weight"])
    assert parameters_are_finite(state)
    with torch.no_grad():
        state.networks["D_a"].weight[0, 0] = bad
    assert not parameters_are_finite(state)


def test_ten_skips_in_a_row_end_it(monkeypatch):
    spoil(monkeypatch, float("nan"), times=1000)
    step = step_of(TwoPairs(n_critic=3, r1_every=100))
    step.state.step = 1
    for _ in range(3):
        step(batches(3))
    with pytest.raises(
        TooManySkips, match=r"gradients of D were infinite or NaN 12 times in a row.* 24 images"
    ):
        step(batches(3))
    assert step.state.skipped == {"D": 12}
    assert parameters_are_finite(step.state)


def test_randomness_follows_seed_and_step_alone():
    def draws(seed: int, disturb: bool) -> list[float]:
        calls.clear()
        step = step_of(TwoPairs(), seed)
        for _ in range(2):
            if disturb:
                torch.rand(17)
            step(batches(3))
        return [call[1] for call in calls if call[0] in ("random", "drawn")]

    first = draws(0, disturb=False)
    assert first == draws(0, disturb=True)
    assert first[0] != first[2] and first[1] != first[3]
    assert draws(1, disturb=False)[0] not in first


def test_initial_networks_follow_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    a, b, c = state_of(TwoPairs()), state_of(TwoPairs()), state_of(TwoPairs(), 1)
    assert torch.rand(()) == expected
    assert torch.equal(a.networks["D_a"].weight, b.networks["D_a"].weight)
    assert not torch.equal(a.networks["D_a"].weight, c.networks["D_a"].weight)


def test_derived_seeds_differ_by_purpose():
    seeds = [
        derive_seed(0, "step", 1),
        derive_seed(0, "step", 11),
        derive_seed(1, "step", 1),
        derive_seed(0),
    ]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_average_follows_its_formula():
    stepper = step_of(TwoPairs(ema=0.5, n_critic=1))
    state = stepper.state
    assert set(state.ema) == {"G_ab", "G_ba"}
    mean = state.networks["G_ab"].weight.detach().clone()
    for step in range(12):
        stepper(batches(1))
        beta = min(0.5, (step + 1) / (step + 10))
        mean = beta * mean + (1 - beta) * state.networks["G_ab"].weight.detach()
    torch.testing.assert_close(state.ema["G_ab"].weight, mean)
    assert state.sampler["G_ab"] is state.ema["G_ab"]
    assert state.sampler["D_a"] is state.networks["D_a"]


def test_average_takes_batch_norm_along(tiny):
    state = TrainState.create(tiny, ImageSpec(1, 8))
    batch = Batch(torch.rand(16, 1, 8, 8), torch.zeros(16, dtype=torch.int64))
    step = TrainStep(state)
    for _ in range(3):
        step([batch])
    norm = next(m for m in state.ema["G"].modules() if isinstance(m, nn.BatchNorm1d))
    raw = next(m for m in state.networks["G"].modules() if isinstance(m, nn.BatchNorm1d))
    # D's turn and G's run G once each.
    assert norm.num_batches_tracked == raw.num_batches_tracked == 6
    assert not torch.equal(norm.running_mean, raw.running_mean)
    assert norm.running_mean.any()


def test_sampling_is_chunked_alike_and_puts_networks_back(tiny):
    state = TrainState.create(tiny, ImageSpec(1, 8))
    assert state.networks["G"].training
    whole = sample_images(tiny, state.networks, 10, seed=1, chunk=10)
    parts = sample_images(tiny, state.networks, 10, seed=1, chunk=3)
    assert state.networks["G"].training
    # Chunks don't change the noise.
    torch.testing.assert_close(parts, whole)
    assert whole.shape == (10, 1, 8, 8) and not whole.requires_grad


@dataclass(frozen=True, kw_only=True)
class Passing(TwoPairs):
    """Game in which G passes its images to D, which moves after it."""

    def players(self):
        return (
            Player("G", ("G_ab", "G_ba"), self.g_loss, optimizer=self.sgd),
            Player("D", ("D_a", "D_b"), self.d_loss, updates=2, optimizer=self.sgd),
        )

    def g_loss(self, networks, batch):
        fake = networks["G_ab"](batch.inputs["other"])
        return Loss(fake.square().mean(), {}, {"fakes": fake})

    def d_loss(self, networks, batch):
        calls.append(batch)
        images = batch.real if batch.fakes is None else batch.fakes
        return Loss(networks["D_a"](images).mean())


def test_what_a_player_made_is_given_to_later_ones_with_its_rows():
    """Fakes reach D's first update, in pieces, with the right rows; its second update gets none.

    G has moved by then, but the images are from before.
    """
    recipe = Passing(batch=4, accumulate=2, n_critic=1)
    step = TrainStep(TrainState.create(recipe, ImageSpec(1, 4)))
    other = torch.arange(16.0).view(4, 4)
    expected = step.state.networks["G_ab"](other).detach()
    calls.clear()
    step([Batch(torch.rand(4, 4), torch.arange(4), inputs={"other": other}) for _ in range(2)])
    first, second = calls[:2], calls[2:]
    for part, batch in enumerate(first):
        rows = slice(2 * part, 2 * part + 2)
        assert torch.equal(batch.inputs["other"], other[rows]) and torch.equal(
            batch.labels, torch.arange(4)[rows]
        )
        assert torch.allclose(batch.fakes, expected[rows]) and not batch.fakes.requires_grad
    assert [batch.fakes for batch in second] == [None, None]


def test_a_field_that_a_batch_lacks_is_named():
    """The error appears both when a field is drawn and when it is read."""
    state = state_of(TwoPairs())
    recipe = state.recipe
    misspelt = replace(recipe.players()[1], draw=lambda request: {"nosie": torch.zeros(2)})
    step = TrainStep(state)
    step._updates["D"].player = misspelt
    with pytest.raises(TypeError, match="'nosie'"):
        step(batches(3))
    with pytest.raises(AttributeError, match="'nosie'"):
        _ = batches(1)[0].nosie


def test_rows_of_nested_fields_are_cut_and_joined():
    batch = Batch(torch.rand(4, 2), torch.arange(4), inputs={"other": torch.rand(4, 3)})
    parts = [batch.rows(slice(0, 1)), batch.rows(slice(1, 4))]
    assert [part.inputs["other"].shape for part in parts] == [(1, 3), (3, 3)]
    again = concatenate([part.inputs for part in parts])
    assert torch.equal(again["other"], batch.inputs["other"])
    pair = Pair(torch.rand(3, 2), None)
    halves = [
        pair.each_tensor(lambda rows, part=part: rows[part]) for part in (slice(1), slice(1, 3))
    ]
    joined = concatenate(halves)
    assert torch.equal(joined.a, pair.a) and joined.b is None and joined.swapped.b is joined.a
