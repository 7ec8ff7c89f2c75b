"""spectral_norm of a discriminator's twenty layers, against torch's parametrisation of each.

A step is the work on weights in one pass of the network: the power iteration, which updates the
buffers, and the normalised weights. ``forward_backward`` adds the gradients. Each call of a side
continues from its own buffers, so both sides are first checked from the same start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from benchmarks.harness import Run, check_results, extra_info, largest_error, repeat_in
from benchmarks.measures import Results, direction
from benchmarks.results import COPY, Comparison
from benchmarks.timing import Interleaved, floor_seconds, rounds_for
from fastgan import ops
from tests.specs.spectral_norm import DISCRIMINATOR, SPECTRAL_NORM, vectors_for

# In multiples of all weights. Forward reads them for the iteration and again for the division, and
# writes. Backward reads weights and gradients, then gradients again, and writes.
MOVED = {"forward": 3.0, "forward_backward": 7.0}
DIMS = [0] * len(DISCRIMINATOR)

Normalise = Callable[[], list[Tensor]]


def network_weights(run: Run) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator).to(run.device, run.dtype) for shape in DISCRIMINATOR
    ]


def with_op(weights: list[Tensor], backend: str | None) -> Normalise:
    us, vs = vectors_for(weights, DIMS)

    def normalise() -> list[Tensor]:
        found, _, new_us, new_vs = ops.spectral_norm(weights, us, vs, backend=backend)
        with torch.no_grad():
            torch._foreach_copy_([*us, *vs], [*new_us, *new_vs])
        return found

    return normalise


def with_torch(weights: list[Tensor]) -> Normalise:
    layers = []
    for weight, u, v in zip(weights, *vectors_for(weights, DIMS)):
        layer = nn.Module()
        layer.weight = nn.Parameter(torch.ones_like(weight))
        parametrizations.spectral_norm(layer)
        layer.parametrizations.weight.original = weight
        layer.parametrizations.weight[0]._u.copy_(u)
        layer.parametrizations.weight[0]._v.copy_(v)
        layers.append(layer)
    return lambda: [layer.weight for layer in layers]


def step_of(normalise: Normalise, weights: list[Tensor], measure: str) -> Callable[[], Results]:
    cotangents = [direction(w.shape, 1 + i, w.detach()) for i, w in enumerate(weights)]

    def step() -> Results:
        with torch.set_grad_enabled(measure == "forward_backward"):
            found = normalise()
        results: Results = {f"y{i}": t for i, t in enumerate(found)}
        if measure == "forward_backward":
            grads = torch.autograd.grad(found, weights, cotangents)
            results |= {f"d{i}": t for i, t in enumerate(grads)}
        return results

    return step


def sides(run: Run, measure: str) -> dict[str, Callable[[], Results]]:
    """Return ours, the eager reference, and torch's parametrisation."""
    found = {}
    backends = [
        name
        for name in ("cuda", "triton", "cpu")
        if run.device.type in ops.backends()[name].devices
    ]
    named: dict[str, Any] = {name: name for name in backends if ops.backends()[name].usable}
    for side, backend in {**named, "eager": "reference"}.items():
        weights = [nn.Parameter(w) for w in network_weights(run)]
        found[side] = step_of(with_op(weights, backend), weights, measure)
    weights = [nn.Parameter(w) for w in network_weights(run)]
    found["parametrizations"] = step_of(with_torch(weights), weights, measure)
    return found


def expected_results(run: Run, measure: str) -> Results:
    weights = [nn.Parameter(w.double().cpu()) for w in network_weights(run)]
    found = step_of(with_op(weights, "reference"), weights, measure)()
    return {name: None if t is None else t.detach() for name, t in found.items()}


class TestSpectralNorm:
    spec = SPECTRAL_NORM

    @pytest.mark.parametrize("step", list(MOVED))
    def test_step(self, benchmark: Any, step: str, run: Run) -> None:
        calls, expected = sides(run, step), expected_results(run, step)
        errors = {}
        for name, call in calls.items():
            results = call()
            check_results(
                results,
                expected,
                self.spec.tolerance[run.dtype],
                what=f"spectral_norm {step}: {name}",
            )
            errors[name] = largest_error(results, expected)
            del results
        del expected
        source = torch.cat([w.flatten() for w in network_weights(run)])
        target = torch.empty_like(source)
        interleaved = Interleaved({COPY: lambda: target.copy_(source), **calls}, run.clock)
        repeat_in(benchmark)(
            interleaved.round,
            rounds_for(interleaved.warm_up(), budget=run.budget, least=run.least_rounds),
        )
        timings = interleaved.timings()
        comparison = Comparison(
            op=self.spec.name,
            case="discriminator",
            measure=step,
            shape=list(source.shape),
            dtype=str(run.dtype).removeprefix("torch."),
            tensor_bytes=source.numel() * source.element_size(),
            floor=floor_seconds(MOVED[step], timings[COPY].median),
            timings=timings,
            errors=errors,
        )
        run.results.name_sides(calls)
        benchmark.extra_info.update(extra_info(comparison))
        run.results.comparisons.append(comparison)
