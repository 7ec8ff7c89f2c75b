"""The benchmark of an op: every case of its OpSpec, which ``benchmarks/ops/bench_ops.py`` lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measures import MEASURES, Call, Results, Tensors, present
from benchmarks.memory import peak_extra_bytes
from benchmarks.results import COPY, OURS, PRODUCT, Comparison, Memory, RunResults
from benchmarks.sides import Side, SideUnavailable, sides_of
from benchmarks.timing import (
    Clock,
    Interleaved,
    Timing,
    floor_seconds,
    product_call,
    product_floor_seconds,
    rounds_for,
)
from tests.specs import BenchmarkCase, OpSpec, first_mismatch

LEAST_OF_MANY = 7  # rounds of one size if many sizes are timed


class WrongResult(AssertionError):
    """A side doesn't match the float64 reference, so nothing may be timed."""


@dataclass
class Run:
    """Settings and results of one session.

    Args:
        budget: seconds for the timing of one comparison, after the warm-up.
        least_rounds: smallest number of rounds.
        tf32: products of float32 are TF32.
    """

    device: torch.device
    dtype: torch.dtype
    clock: Clock
    results: RunResults
    budget: float = 4.0
    least_rounds: int = 15
    tf32: bool = False

    @property
    def rounded_to(self) -> torch.dtype:
        """Return the dtype with the precision of products: TF32 has the 10 bits of float16."""
        return torch.float16 if self.tf32 else self.dtype


def expected_results(spec: OpSpec, case: BenchmarkCase, measure: str, tensors: Tensors) -> Results:
    """Compute the same measure of the reference in float64."""
    exact = [None if t is None else t.detach().double() for t in tensors]
    found = MEASURES[measure](partial(spec.op, backend="reference"), exact, case.options)()
    return {name: None if t is None else t.detach() for name, t in found.items()}


def options_of(case: BenchmarkCase, device: torch.device) -> dict[str, Any]:
    """Return the options with filters on the device; copies in each call would wait for a GPU."""
    return {
        name: value.to(device) if isinstance(value, Tensor) else value
        for name, value in case.options.items()
    }


def check_results(found: Results, expected: Results, tolerance: float, *, what: str) -> None:
    """Raise :class:`WrongResult` with ``what`` if the error of a result exceeds ``tolerance``."""
    problem = first_mismatch(found, expected, tolerance)
    if problem is not None:
        raise WrongResult(f"{what} is wrong, so it is not timed: {problem}")


def largest_error(found: Results, expected: Results) -> float:
    """Return the largest error of any result, relative to its largest expected value."""
    errors = [0.0]
    for name, want in expected.items():
        have = found[name]
        if have is not None and want is not None and want.numel():
            error = (
                have.detach().double().cpu() - want.cpu()
            ).abs().max() / want.abs().max().clamp(min=1e-3)
            errors.append(error.item())
    return max(errors)


def prepare_sides(
    sides: Sequence[Side], measure: str, tensors: Tensors, options: Mapping[str, Any]
) -> tuple[dict[str, Call], dict[str, str]]:
    """Return the call of every side that runs here, and the reason for each other side."""
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
    """Check every side that computes the op, then time them all in turn.

    Args:
        repeat: ``repeat(round, times)`` runs the rounds.

    Raises:
        WrongResult: a side doesn't match the float64 reference.
    """
    tensors = case.tensors(run.dtype, run.device)
    calls, unavailable = prepare_sides(sides, measure, tensors, options_of(case, run.device))
    expected = expected_results(spec, case, measure, tensors)
    errors = {}
    for side in (side for side in sides if side.checked and side.name in calls):
        what, found = f"{spec.name} {case.id} {measure}: {side.name}", calls[side.name]()
        # Others may round more than our bound allows: compiled sums add one by one.
        bound = spec.tolerance[run.rounded_to] * (1 if side.name in OURS else 10)
        check_results(found, expected, bound, what=what)
        errors[side.name] = largest_error(found, expected)
        del found
    del expected

    source = first_tensor(tensors)
    interleaved = Interleaved({**floor_call(case, source), **calls}, run.clock)
    rounds = rounds_for(interleaved.warm_up(), budget=run.budget, least=run.least_rounds)
    repeat(interleaved.round, rounds)
    timings = interleaved.timings()
    flops = None if case.products is None else case.products[measure]
    return Comparison(
        op=spec.name,
        case=case.id,
        measure=measure,
        shape=list(source.shape),
        dtype=str(run.dtype).removeprefix("torch."),
        tensor_bytes=bytes_of(source),
        floor=(
            floor_seconds(case.moved[measure], timings[COPY].median)
            if flops is None
            else product_floor_seconds(flops, timings[PRODUCT].median, run.device.type)
        ),
        timings=timings,
        unavailable=unavailable,
        flops=flops,
        errors=errors,
        device_type=run.device.type,
    )


def floor_call(case: BenchmarkCase, source: Tensor) -> dict[str, Callable[[], object]]:
    """Return the side that measures the floor of a case, by name."""
    if case.products is not None:
        return {PRODUCT: product_call(source.device, source.dtype)}
    target = torch.empty_like(source)
    return {COPY: lambda: target.copy_(source)}


def measure_memory(spec: OpSpec, case: BenchmarkCase, sides: Sequence[Side], run: Run) -> Memory:
    """Measure peak extra memory of forward and backward, on every side that computes the op.

    If arithmetic limits an op, algorithms differ; their scratch memory is measured too.
    """
    tensors = case.tensors(run.dtype, run.device)
    sides = [side for side in sides if side.checked]
    calls, _ = prepare_sides(sides, "forward_backward", tensors, options_of(case, run.device))
    detailed = any(each.products is not None for each in spec.benchmarks)
    peaks, of_results, activation = {}, 0, 0
    source = first_tensor(tensors)
    for name, call in calls.items():
        results = call()  # warm-up: one-off allocations don't count
        of_results = sum(map(bytes_of, present(list(results.values()))))
        activation = max(map(bytes_of, present([source, results["y"]])))
        del results
        peaks[name] = peak_extra_bytes(call, run.device)
    return Memory(
        op=spec.name,
        case=case.id,
        shape=list(source.shape),
        dtype=str(run.dtype).removeprefix("torch."),
        yardstick=sum(map(bytes_of, present(tensors))) + of_results,
        peaks=peaks,
        activation=activation,
        results=of_results,
        scratch=measure_scratch(case, sides, tensors, run) if detailed else {},
    )


def measure_scratch(
    case: BenchmarkCase, sides: Sequence[Side], tensors: Tensors, run: Run
) -> dict[str, int]:
    """Measure the allocations of the forward pass besides its output, on every side."""
    found = {}
    for name, call in prepare_sides(sides, "forward", tensors, options_of(case, run.device))[
        0
    ].items():
        output = sum(map(bytes_of, present(list(call().values()))))
        found[name] = peak_extra_bytes(call, run.device) - output
    return found


def first_tensor(tensors: Tensors) -> Tensor:
    return present(tensors)[0]


def bytes_of(t: Tensor) -> int:
    return t.numel() * t.element_size()


def extra_info(comparison: Comparison) -> dict[str, Any]:
    """Return additions to pytest-benchmark's JSON, whose own statistics are of whole rounds."""
    timings: dict[str, Timing] = comparison.timings
    return {
        "floor_ms": comparison.floor * 1e3,
        "median_ms": {side: timing.median * 1e3 for side, timing in timings.items()},
        "floors": {side: comparison.floors(side) for side in timings},
        "errors": comparison.errors,
        "unavailable": comparison.unavailable,
    }


def repeat_in(benchmark: Any) -> Callable[[Callable[[], None], int], object]:
    """Return a function that runs rounds as pytest-benchmark's, for its own report."""
    return lambda one_round, times: benchmark.pedantic(one_round, rounds=times, iterations=1)


def shortened(run: Run, times: int) -> Run:
    """Return ``run`` with a ``times`` smaller budget per comparison, for many comparisons."""
    return replace(
        run, budget=run.budget / times, least_rounds=min(run.least_rounds, LEAST_OF_MANY)
    )


@dataclass(frozen=True)
class OpBenchmark:
    """The benchmark of one op.

    Args:
        eager: name of the eager reference in the tables.
        others: further sides.
        scaling_sides: ``run -> sides`` of timings over sizes; by default our first one.
    """

    spec: OpSpec
    eager: str = "eager"
    others: Sequence[Side] = ()
    scaling_sides: Callable[[Run], Sequence[Side]] | None = None

    def sides(self, run: Run) -> list[Side]:
        return [*sides_of(self.spec, run.device, eager=self.eager), *self.others]

    def sides_of_growth(self, run: Run) -> Sequence[Side]:
        return self.sides(run)[:1] if self.scaling_sides is None else self.scaling_sides(run)


class OpBenchmarks:
    """Times of every case of ``ops`` in every measure, and memory of every case."""

    ops: Sequence[OpBenchmark]

    def test_time(
        self, benchmark: Any, op: OpBenchmark, case: BenchmarkCase, measure: str, run: Run
    ) -> None:
        sides = op.sides(run)
        run.results.name_sides(side.name for side in sides)
        comparison = compare(op.spec, case, measure, sides, run, repeat_in(benchmark))
        benchmark.extra_info.update(extra_info(comparison))
        run.results.comparisons.append(comparison)

    def test_scaling(self, benchmark: Any, op: OpBenchmark, case: BenchmarkCase, run: Run) -> None:
        sides = op.sides_of_growth(run)
        shorter = shortened(run, 4)
        comparison = compare(op.spec, case, "forward", sides, shorter, repeat_in(benchmark))
        benchmark.extra_info.update(extra_info(comparison))
        run.results.scaling.append(comparison)

    def test_memory(self, op: OpBenchmark, case: BenchmarkCase, run: Run) -> None:
        memory = measure_memory(op.spec, case, op.sides(run), run)
        run.results.name_sides(memory.peaks)
        run.results.memory.append(memory)
