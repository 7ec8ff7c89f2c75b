"""Steps of training as one call: all sides are checked against float64 and timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from benchmarks.harness import (
    Run,
    WrongResult,
    bytes_of,
    check_results,
    extra_info,
    largest_error,
    repeat_in,
    shortened,
)
from benchmarks.measures import Call, Results
from benchmarks.memory import peak_extra_bytes
from benchmarks.results import Comparison, Memory, title
from benchmarks.sides import OURS
from benchmarks.timing import Interleaved, rounds_for
from fastgan import ops
from tests.specs.conv2d_calls import ConvolutionCalls

CONVOLUTION = "convolution"  # side that measures the floor


@dataclass(frozen=True)
class Step:
    """A step of training and its properties.

    Args:
        op: name of the group in the tables.
        case: size of the step.
        name: name of the step.
        gradients: function of a game, which is compiled.
        take: function of `gradients` and a game that returns gradients by name.
        game: networks and a batch.
        exact: the same in float64.
        tolerance: relative to a gradient's largest value.
        whole: compare the norm of the error with that of the gradient instead. In a chain of many
            networks, rounding tips enough slopes that single weights of plain PyTorch are 5% off.
        images: images of a step; the first tensor of the table has their shape.
        flops: operations of the direct form.
        weights: bytes of the trained parameters.
        rounds: smallest number of rounds.
    """

    op: str
    case: str
    name: str
    gradients: Callable[[Any], list[Tensor | None]]
    take: Callable[[Callable[[Any], list[Tensor | None]], Any], Results]
    game: Any
    exact: Any
    tolerance: float
    images: Tensor
    flops: float
    weights: int
    rounds: int
    whole: bool = False


def time_step(benchmark: Any, run: Run, step: Step) -> None:
    """Time a step by every backend, the reference, and torch.compile of it; measure their memory.

    Raises:
        WrongResult: the error of a side's gradients exceeds the tolerance.
    """
    backends = [name for name in OURS[run.device.type] if ops.backends()[name].usable]
    calls: dict[str, Call] = {name: partial(_on, name, step, step.gradients) for name in backends}
    calls["eager"] = partial(_on, "reference", step, step.gradients)
    counts = {}
    for name, call in calls.items():
        with ConvolutionCalls() as counted:
            call()
        counts[name] = counted.count

    unavailable, compiling = {}, 0.0
    torch._dynamo.reset()
    torch._dynamo.config.trace_autograd_ops = True
    compiled = torch.compile(step.gradients, fullgraph=True, dynamic=False)
    calls["compile"] = partial(_on, "reference", step, compiled)
    start = time.perf_counter()
    try:
        calls["compile"]()
        compiling = time.perf_counter() - start
    except TorchDynamoException as error:
        del calls["compile"]
        unavailable["compile"] = f"torch.compile failed: {str(error).strip().splitlines()[0]}"

    exact = _on("reference", replace(step, game=step.exact), step.gradients)
    errors = {
        name: _error(step, call(), exact, f"the {step.name} at {step.case} on {name}")
        for name, call in calls.items()
    }

    convolution, flops = one_convolution(run)
    settings = shortened(run, 1)
    interleaved = Interleaved({CONVOLUTION: convolution, **calls}, run.clock)
    least = min(settings.least_rounds, step.rounds)
    rounds = rounds_for(interleaved.warm_up(rounds=1), budget=settings.budget, least=least)
    repeat_in(benchmark)(interleaved.round, rounds)
    timings = interleaved.timings()
    rate, images = flops / timings[CONVOLUTION].median, len(step.images)
    peaks = {name: peak_extra_bytes(call, run.device) for name, call in calls.items()}
    speeds = {name: images / timings[name].median for name in calls}
    notes = [
        f"{step.name} at {step.case}, {images} image{'s' * (images > 1)}: "
        f"the floor is {step.flops / 1e9:.0f} GFLOP at the "
        f"{rate / 1e9:.0f} GFLOP/s of one F.conv2d; "
        + ", ".join(f"{title(name)} {speed:.3g} images/s" for name, speed in speeds.items())
        + "; convolutions and products: "
        + ", ".join(f"{title(name)} {count}" for name, count in counts.items())
        + (f"; compiled in {compiling:.0f} s" if compiling else "")
    ]
    comparison = Comparison(
        op=step.op,
        case=step.case,
        measure=step.name,
        shape=list(step.images.shape),
        dtype="float32",
        tensor_bytes=bytes_of(step.images),
        floor=step.flops / rate,
        timings=timings,
        unavailable=unavailable,
        flops=step.flops,
        errors=errors,
        notes=notes,
    )
    benchmark.extra_info.update(
        extra_info(comparison) | {"peak_bytes": peaks, "images_per_second": speeds}
    )
    run.results.name_sides(calls)
    run.results.comparisons.append(comparison)
    results = sum(bytes_of(t) for t in exact.values() if t is not None) // 2  # half of float64
    run.results.memory.append(
        Memory(
            op=step.op,
            case=f"{step.name}, {step.case}",
            shape=list(step.images.shape),
            dtype="float32",
            yardstick=bytes_of(step.images) + step.weights + results,
            peaks=peaks,
        )
    )


def _on(backend: str, step: Step, gradients: Callable[[Any], list[Tensor | None]]) -> Results:
    with ops.use_backend(backend):
        return dict(step.take(gradients, step.game))


def one_convolution(run: Run) -> tuple[Call, float]:
    """Return the convolution that measures the rate, 3×3 of 256 channels, and its operations."""
    x, weight = torch.randn(8, 256, 32, 32), torch.randn(256, 256, 3, 3) / 48
    x, weight = (t.to(run.device, memory_format=torch.channels_last) for t in (x, weight))

    def call() -> Results:
        with torch.no_grad():
            return {"y": F.conv2d(x, weight, padding=1)}

    return call, 2.0 * weight[0].numel() * 8 * 256 * 32 * 32


def _error(step: Step, gradients: Results, exact: Results, what: str) -> float:
    """Return the largest error of a gradient; raise WrongResult with `what` above the tolerance."""
    if not step.whole:
        expected, found = in_units(exact, exact), in_units(gradients, exact)
        check_results(found, expected, step.tolerance, what=what)
        return largest_error(found, expected)
    worst, name = max(
        (
            (g.detach().cpu().double() - want.cpu()).norm().item()
            / max(want.norm().item(), 1e-300),
            name,
        )
        for name, want in exact.items()
        if want is not None and (g := gradients[name]) is not None
    )
    if not worst <= step.tolerance:
        raise WrongResult(
            f"{what} is wrong, so it is not timed: {name} is off by {worst:.2g} of its norm"
        )
    return worst


def in_units(gradients: Results, exact: Results) -> Results:
    """Divide each gradient by its largest expected value, since those of biases are tiny.

    Gradients of one value are sums over an image whose terms mostly cancel. Those of one kind are
    one result, because the smaller ones alone have little meaning.
    """
    found: Results = {}
    kinds: dict[str, list[str]] = {}
    for name, g in gradients.items():
        expected = exact[name]
        assert g is not None and expected is not None
        if expected.numel() == 1:
            kinds.setdefault(".".join(name.split(".")[-2:]), []).append(name)
        else:
            found[name] = _in_units_of(expected, g)
    for kind, names in kinds.items():
        ours, theirs = (_joined(of, names) for of in (gradients, exact))
        found[f"every {kind}"] = _in_units_of(theirs, ours)
    return found


def _joined(of: Results, names: list[str]) -> Tensor:
    return torch.cat([t.detach().cpu().flatten() for name in names if (t := of[name]) is not None])


def _in_units_of(expected: Tensor, t: Tensor) -> Tensor:
    unit = expected.abs().max().cpu()
    return t.detach().cpu().double() / torch.where(unit > 0, unit, torch.ones_like(unit))
