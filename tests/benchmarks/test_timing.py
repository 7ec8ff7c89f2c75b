"""Arithmetic of the benchmarks: rounds, medians, the floor."""

import pytest
import torch

from benchmarks.results import Comparison
from benchmarks.timing import (
    Interleaved,
    Timing,
    floor_seconds,
    product_call,
    product_floor_seconds,
    product_flops,
    rounds_for,
    summarise,
)


class Recorder:
    """Three calls that record when they run, and a clock with durations from a table."""

    def __init__(self, durations):
        self.durations, self.ran = durations, []
        self.calls = {name: lambda name=name: self.ran.append(name) for name in durations}

    def clock(self, call):
        call()
        return self.durations[self.ran[-1]]


def test_a_round_runs_every_call_once_in_changing_order():
    recorder = Recorder({"copy": 1.0, "cpu": 2.0, "eager": 7.0})
    interleaved = Interleaved(recorder.calls, recorder.clock)
    for _ in range(20):
        interleaved.round()
    rounds = [tuple(recorder.ran[i : i + 3]) for i in range(0, 60, 3)]
    assert all(sorted(names) == ["copy", "cpu", "eager"] for names in rounds)
    assert len(set(rounds)) > 3
    assert {name: (t.median, t.rounds) for name, t in interleaved.timings().items()} == {
        "copy": (1.0, 20),
        "cpu": (2.0, 20),
        "eager": (7.0, 20),
    }


def test_the_order_is_the_same_in_every_run():
    first, second = (Recorder({"a": 1.0, "b": 1.0, "c": 1.0}) for _ in range(2))
    for recorder in (first, second):
        interleaved = Interleaved(recorder.calls, recorder.clock)
        for _ in range(5):
            interleaved.round()
    assert first.ran == second.ran


def test_warm_up_leaves_no_times():
    recorder = Recorder({"a": 1.0, "b": 2.0})
    interleaved = Interleaved(recorder.calls, recorder.clock)
    assert interleaved.warm_up(rounds=3) > 0
    assert len(recorder.ran) == 6
    assert interleaved.seconds == {"a": [], "b": []}


def test_median_and_spread_shrug_off_one_slow_round():
    timing = summarise([1.0, 1.1, 0.9, 1.0, 100.0])
    assert timing == Timing(median=1.0, q25=1.0, q75=1.1, rounds=5)
    assert timing.spread == pytest.approx(0.1)
    assert summarise([2.0]) == Timing(2.0, 2.0, 2.0, 1)


def test_rounds_fill_the_budget_within_bounds():
    assert rounds_for(0.1, budget=4.0, least=15) == 40
    assert rounds_for(1.0, budget=4.0, least=15) == 15
    assert rounds_for(1e-6, budget=4.0, least=15, most=300) == 300
    assert rounds_for(0.0, budget=4.0, least=15, most=300) == 300


def test_floor_is_the_time_of_the_bytes_at_copy_speed():
    assert floor_seconds(2.0, 0.010) == pytest.approx(0.010)  # a copy moves two tensors
    assert floor_seconds(5.0, 0.010) == pytest.approx(0.025)
    timings = {
        name: Timing(t, t, t, 3)
        for name, t in {"copy": 0.010, "cpu": 0.030, "eager": 0.090}.items()
    }
    comparison = Comparison(
        "bias_act",
        "lrelu",
        "forward_backward",
        [2, 3],
        "float32",
        10**8,
        floor_seconds(5.0, 0.010),
        timings,
    )
    assert comparison.floors("cpu") == pytest.approx(1.2)
    assert comparison.ratio("eager", "cpu") == pytest.approx(3.0)
    assert comparison.ratio("compile", "cpu") is None
    assert comparison.copy_speed == pytest.approx(2e10)  # 2 · 100 MB in 10 ms


def test_the_product_does_the_operations_that_are_counted():
    found = product_call(torch.device("cpu"))()
    assert found.dtype == torch.float32
    assert 2 * found.shape[0] ** 3 == product_flops("cpu")


def test_floor_is_the_time_of_the_operations_at_the_rate_of_the_product():
    assert product_floor_seconds(product_flops("cpu"), 0.02) == pytest.approx(0.02)
    floor = product_floor_seconds(3 * product_flops("cpu"), 0.02)
    timings = {name: Timing(t, t, t, 3) for name, t in {"product": 0.02, "cpu": 0.03}.items()}
    comparison = Comparison(
        "conv2d",
        "3x3",
        "forward",
        [2, 3],
        "float32",
        10**8,
        floor,
        timings,
        {},
        3 * product_flops("cpu"),
    )
    assert comparison.floors("cpu") == pytest.approx(0.5)  # it has fewer operations than direct
    assert comparison.product_rate == pytest.approx(product_flops("cpu") / 0.02)
    assert comparison.rate("cpu") == pytest.approx(2 * comparison.product_rate)


def test_there_is_no_rate_without_operations():
    comparison = Comparison(
        "bias_act", "lrelu", "forward", [2], "float32", 8, 1.0, {"cpu": Timing(1, 1, 1, 3)}
    )
    with pytest.raises(ValueError, match="lrelu is not measured by its operations"):
        comparison.rate("cpu")
