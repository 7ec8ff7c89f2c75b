"""The benchmark of one op: ``benchmarks/ops/bench_<op>.py`` derives a class and names its OpSpec."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measures import MEASURES, Call, Results, Tensors, present
from benchmarks.memory import peak_extra_bytes
from benchmarks.results import COPY, Comparison, Memory, RunResults
from benchmarks.sides import Side, SideUnavailable, sides_of
from benchmarks.timing import Clock, Interleaved, Timing, floor_seconds, rounds_for
from fastgan.testing import BenchmarkCase, OpSpec, first_mismatch


class WrongResult(AssertionError):
    """A side computes something else than the float64 reference: nothing may be timed."""


@dataclass
class Run:
    """The settings of one session, and what it found so far.

    Args:
        budget: seconds that one comparison is timed for, after the warm-up.
        least_rounds: how many rounds there are at the least.
    """

    device: torch.device
    dtype: torch.dtype
    clock: Clock
    results: RunResults
    budget: float = 4.0
    least_rounds: int = 15


def expected_results(spec: OpSpec, case: BenchmarkCase, measure: str, tensors: Tensors) -> Results:
    """The same measure of the reference, on the CPU, in float64."""
    exact = [None if t is None else t.detach().cpu().double() for t in tensors]
    found = MEASURES[measure](partial(spec.op, backend="reference"), exact, case.options)()
    return {name: None if t is None else t.detach() for name, t in found.items()}


def check_results(found: Results, expected: Results, tolerance: float, *, what: str) -> None:
    """Raises :class:`WrongResult`, naming ``what``, where a result is further off than ``tolerance``."""
    problem = first_mismatch(found, expected, tolerance)
    if problem is not None:
        raise WrongResult(f"{what} is wrong, so it is not timed: {problem}")


def prepare_sides(
    sides: Sequence[Side], measure: str, tensors: Tensors, options: Mapping[str, Any]
) -> tuple[dict[str, Call], dict[str, str]]:
    """The call of every side that runs here, and why the others don't."""
    calls, unavailable = {}, {}
    for side in sides:
        try:
            calls[side.name] = side.prepare(measure, tensors, options)
        except SideUnavailable as reason:
            unavailable[side.name] = str(reason)
    return calls, unavailable


def compare(
    spec: OpSpec,
    case: BenchmarkCase,
    measure: str,
    sides: Sequence[Side],
    run: Run,
    repeat: Callable[[Callable[[], None], int], object],
) -> Comparison:
    """Check every side, then time them in turn.

    Args:
        repeat: ``repeat(round, times)`` runs the rounds.

    Raises:
        WrongResult: a side computes something else than the float64 reference.
    """
    tensors = case.tensors(run.dtype, run.device)
    calls, unavailable = prepare_sides(sides, measure, tensors, case.options)
    expected = expected_results(spec, case, measure, tensors)
    for name, call in calls.items():
        what = f"{spec.name} {case.id} {measure}: {name}"
        check_results(call(), expected, spec.tolerance[run.dtype], what=what)
    del expected

    source = first_tensor(tensors)
    target = torch.empty_like(source)
    interleaved = Interleaved({COPY: lambda: target.copy_(source), **calls}, run.clock)
    rounds = rounds_for(interleaved.warm_up(), budget=run.budget, least=run.least_rounds)
    repeat(interleaved.round, rounds)
    timings = interleaved.timings()
    return Comparison(
        op=spec.name,
        case=case.id,
        measure=measure,
        shape=list(source.shape),
        dtype=str(run.dtype).removeprefix("torch."),
        tensor_bytes=bytes_of(source),
        floor=floor_seconds(case.moved[measure], timings[COPY].median),
        timings=timings,
        unavailable=unavailable,
    )


def measure_memory(spec: OpSpec, case: BenchmarkCase, sides: Sequence[Side], run: Run) -> Memory:
    """Peak extra memory of forward and backward together, on every side."""
    tensors = case.tensors(run.dtype, run.device)
    calls, _ = prepare_sides(sides, "forward_backward", tensors, case.options)
    peaks, yardstick = {}, 0
    for name, call in calls.items():
        results = call()  # warms up: one-off allocations are not the op's
        yardstick = sum(map(bytes_of, [*present(tensors), *present(list(results.values()))]))
        del results
        peaks[name] = peak_extra_bytes(call, run.device)
    source = first_tensor(tensors)
    return Memory(
        spec.name, case.id, list(source.shape), str(run.dtype).removeprefix("torch."), yardstick, peaks
    )


def first_tensor(tensors: Tensors) -> Tensor:
    return present(tensors)[0]


def bytes_of(t: Tensor) -> int:
    return t.numel() * t.element_size()


def extra_info(comparison: Comparison) -> dict[str, Any]:
    """What pytest-benchmark's JSON holds beside its own statistics, which are of whole rounds."""
    timings: dict[str, Timing] = comparison.timings
    return {
        "floor_ms": comparison.floor * 1e3,
        "median_ms": {side: timing.median * 1e3 for side, timing in timings.items()},
        "floors": {side: comparison.floors(side) for side in timings},
        "unavailable": comparison.unavailable,
    }


def repeat_in(benchmark: Any) -> Callable[[Callable[[], None], int], object]:
    """Runs rounds as pytest-benchmark's, so that its own report has them too."""
    return lambda one_round, times: benchmark.pedantic(one_round, rounds=times, iterations=1)


class OpBenchmark:
    """Times every benchmark case of ``spec`` in every measure, and measures the memory of every case."""

    spec: OpSpec

    def test_time(self, benchmark: Any, case: BenchmarkCase, measure: str, run: Run) -> None:
        comparison = compare(
            self.spec, case, measure, sides_of(self.spec, run.device), run, repeat_in(benchmark)
        )
        benchmark.extra_info.update(extra_info(comparison))
        run.results.comparisons.append(comparison)

    def test_scaling(self, benchmark: Any, case: BenchmarkCase, run: Run) -> None:
        ours = sides_of(self.spec, run.device)[:1]
        comparison = compare(
            self.spec, case, "forward", ours, replace(run, budget=run.budget / 4), repeat_in(benchmark)
        )
        benchmark.extra_info.update(extra_info(comparison))
        run.results.scaling.append(comparison)

    def test_memory(self, case: BenchmarkCase, run: Run) -> None:
        run.results.memory.append(measure_memory(self.spec, case, sides_of(self.spec, run.device), run))
