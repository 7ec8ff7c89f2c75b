"""Time of Python and of the dispatcher in our calls, as ratios to other calls.

Tensors are tiny and there is one thread, so that kernels take little. Both calls of a pair run in
the same rounds, and their minima are compared: other work on the machine only adds time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks.harness import Run, check_results
from benchmarks.host.calls import OF_STEPS, PARTS, Pair, op_pairs, step_pairs
from benchmarks.results import Ratio
from benchmarks.timing import Interleaved, rounds_for

#: Calls of an op in one timing: few enough to fit between interruptions by other processes.
CALLS = 10
#: Most rounds of a pair.
ROUNDS = 2000


@pytest.fixture(autouse=True)
def one_thread(run: Run) -> Iterator[None]:
    if run.device.type != "cpu" or run.dtype != torch.float32:
        pytest.skip("the host's time is measured on the CPU, in float32")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def check(pair: Pair) -> None:
    """Raise WrongResult unless both calls have the same results."""
    if pair.tolerance is not None:
        check_results(pair.ours(), pair.other(), pair.tolerance, what=pair.name)


def clock_of(calls: int) -> Callable[[Callable[[], object]], float]:
    """Return a clock of one call, as the mean of ``calls``."""

    def seconds(call: Callable[[], object]) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls

    return seconds


def least_seconds(pair: Pair, run: Run, calls: int) -> tuple[float, float]:
    """Return the least seconds of both calls of a pair, over rounds."""
    timer = Interleaved({"ours": pair.ours, "other": pair.other}, clock_of(calls))
    last = timer.warm_up()
    for _ in range(rounds_for(last, budget=run.budget, least=run.least_rounds, most=ROUNDS)):
        timer.round()
    return min(timer.seconds["ours"]), min(timer.seconds["other"])


def record(benchmark: Any, run: Run, ratio: Ratio) -> None:
    run.results.host.append(ratio)
    benchmark.extra_info.update(ratio=ratio.value, at_most=ratio.at_most)


@pytest.mark.parametrize("pair", op_pairs(), ids=lambda pair: pair.name)
def test_op(benchmark: Any, run: Run, pair: Pair) -> None:
    check(pair)
    seconds = benchmark.pedantic(least_seconds, args=(pair, run, CALLS))
    record(benchmark, run, Ratio(pair.name, *seconds, pair.at_most))


def test_step(benchmark: Any, run: Run) -> None:
    pairs = step_pairs()
    for pair in pairs.values():
        check(pair)
    shorter = replace(run, budget=run.budget / len(pairs))

    def average() -> tuple[float, float]:
        found = {part: least_seconds(pair, shorter, 1) for part, pair in pairs.items()}
        ours, other = (sum(PARTS[part] * found[part][i] for part in PARTS) for i in (0, 1))
        return ours, other

    name = "StyleGAN2 step at 256×256, against the reference"
    record(benchmark, run, Ratio(name, *benchmark.pedantic(average), OF_STEPS))
