"""Values of settings, and the points that the searches take of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastgan.recipes import GAN
from fastgan.sweeps import Range, SweepError
from fastgan.sweeps.plan import SweepPlan
from fastgan.sweeps.space import draw, grid, suggest, text_of
from fastgan.training import RunOptions, RunSettings

BOTH = {"lr": Range(1e-5, 1e-2, log=True), "loss": ("minimax", "least-squares")}


def plan_of(**changes) -> SweepPlan:
    given = {"vary": {"lr": [1e-4, 1e-3]}, "options": RunOptions()} | changes
    return SweepPlan(recipe=GAN(), settings=RunSettings.of(GAN, data="digits"), **given)


def test_a_grid_has_every_combination():
    points = grid({"lr": [1, 2], "batch": [16, 64]})
    assert points == [
        {"lr": 1, "batch": 16},
        {"lr": 1, "batch": 64},
        {"lr": 2, "batch": 16},
        {"lr": 2, "batch": 64},
    ]
    with pytest.raises(SweepError, match=r"A grid needs .* lr .* 1e-05\.\.0\.01:log"):
        grid(BOTH)


def test_random_points_differ_follow_from_the_seed_and_extend():
    points = draw(BOTH, 30, seed=3)
    assert points[:10] == draw(BOTH, 10, seed=3) != draw(BOTH, 10, seed=4)
    rates = [point["lr"] for point in points]
    assert len(set(rates)) > 25 and all(1e-5 <= rate <= 1e-2 for rate in rates)
    # Half of a logarithmic range lies below its geometric mean.
    assert 8 <= sum(rate < math.sqrt(1e-7) for rate in rates) <= 22
    assert {point["loss"] for point in points} == set(BOTH["loss"])
    assert len(draw({"a": [1, 2], "b": Range(1, 3)}, 6, seed=0)) == 6
    with pytest.raises(SweepError, match=r"random must be at most .* only 6 were found"):
        draw({"a": [1, 2], "b": Range(1, 3)}, 7, seed=0)


@pytest.mark.parametrize(
    ("values", "shares", "expected"),
    [
        (Range(1, 5), (0, 0.5, 0.999), [1, 3, 5]),
        (Range(0.0, 1.0), (0, 0.123456, 1), [0, 0.1235, 1]),
        (Range(1e-4, 1.0, log=True), (0, 0.5, 1), [1e-4, 1e-2, 1]),
        (Range(1, 100, log=True), (0, 0.5, 1), [1, 10, 100]),
    ],
)
def test_a_range_gives_rounded_numbers_inside(values, shares, expected):
    assert [values.at(share) for share in shares] == pytest.approx(expected)
    assert isinstance(values.at(0.3), int) == values.whole


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ((2, 1), "must go from a lower to a higher number"),
        ((0.0, 1.0, True), "must be of positive numbers"),
        ((0, float("inf")), "must be finite numbers, got inf"),
        ((True, 3), "must be finite numbers, got True"),
    ],
)
def test_ranges_are_checked(ends, message):
    with pytest.raises(SweepError, match=message):
        Range(*ends)


def test_optuna_suggests_from_what_is_told():
    pytest.importorskip("optuna")
    told: list[tuple[dict, float | None]] = []
    vary = {"lr": Range(1e-5, 1e-1, log=True)}
    for _ in range(30):
        point = suggest(vary, told, seed=2, higher=False)
        # 1e-3 is best, and a fifth of the points fails.
        value = abs(math.log10(point["lr"]) + 3)
        told.append((point, None if len(told) % 5 == 4 else value))
    late = [abs(math.log10(point["lr"]) + 3) for point, _ in told[20:]]
    # Evenly drawn points are 1 away on the mean.
    assert sum(late) / len(late) < 0.7


def test_optuna_suggests_the_same_of_the_same():
    pytest.importorskip("optuna")
    vary = {"batch": [(16,), (64,)], "n": Range(1, 9), "lr": Range(0.0, 1.0)}
    told = [(point, point["lr"]) for point in draw(vary, 12, seed=0)]
    points = [suggest(vary, told, seed, higher=True) for seed in (0, 0, 1)]
    assert points[0] == points[1] != points[2]
    assert points[0]["batch"] in vary["batch"] and points[0]["n"] in range(1, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vary": {}}, "vary must name at least one setting"),
        ({"vary": {"lrr": [1]}}, "vary must name settings of gan, got 'lrr': did you mean 'lr'"),
        ({"vary": {"seed": [1, 2]}}, "vary can't take seed: seeds says"),
        ({"vary": {"data": ["digits"]}}, "vary can't take data"),
        ({"vary": {"workers": [1]}}, "vary can't take workers: it doesn't change what is learned"),
        ({"vary": {"loss": "minimax"}}, "vary must have a list of values or a Range for loss"),
        ({"vary": {"lr": []}}, "vary must have a list of values"),
        ({"vary": {"lr": [1, 1]}}, "vary must have different values of lr"),
        (
            {"vary": {"batch": [np.int64(8)]}},
            "vary must have numbers, words or tuples for batch",
        ),
        ({"seeds": 0}, "seeds must be at least 1, got 0"),
        ({"random": 2.5}, "random must be a whole number, got 2.5"),
        ({"random": 2, "optuna": 2}, "random and optuna exclude each other"),
        ({"options": RunOptions(measure=("none",))}, "measure must be what runs are compared by"),
    ],
)
def test_plans_are_checked(changes, message):
    with pytest.raises(SweepError, match=message):
        plan_of(**changes)


def test_a_plan_needs_one_process_and_optuna_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SweepError, match=r"pip install 'fastgan\[sweep\]'"):
        plan_of(optuna=3)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SweepError, match="A sweep must run in one process"):
        plan_of()


def test_values_as_text():
    values = [True, 1e-4, (0.5, 0.999), None, "minimax", 16]
    assert list(map(text_of, values)) == ["on", "0.0001", "0.5 0.999", "none", "minimax", "16"]
