"""An R1 step of StyleGAN2's discriminator, eager and compiled, against its convolutions alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.e2e.steps import CONVOLUTION, in_units, one_convolution
from benchmarks.harness import (
    Run,
    bytes_of,
    check_results,
    extra_info,
    largest_error,
    repeat_in,
    shortened,
)
from benchmarks.launches import Launches
from benchmarks.measures import Call, Results
from benchmarks.results import Comparison, title
from benchmarks.sides import OURS
from benchmarks.timing import Interleaved, rounds_for
from fastgan import ops
from fastgan.networks.stylegan2 import StyleGAN2Discriminator
from fastgan.nn import EqualConv2d, EqualLinear
from tests.specs.conv2d_calls import ConvolutionCalls

BATCH, RESOLUTION, CHANNELS = 8, 64, {"channel_base": 8192, "channel_max": 256}
GAMMA = 10.0
# Relative to a gradient's largest value: if rounding tips an activation's slope, a pixel's share of
# a bias changes.
# Gradients without such pixels are held to 2e-5 in tests/networks/test_stylegan2_networks.py.
TOLERANCE = 2e-2
COMPILED = {
    "": "compile",
    "cpu": "fastgan compiled",
    "cuda": "fastgan compiled",
    "triton": "triton compiled",
}


def r1_step(d: StyleGAN2Discriminator, images: Tensor) -> list[Tensor | None]:
    """Return the gradient of ``½γ·E‖∇D‖²`` in every parameter; ``images`` require a gradient."""
    (gradient,) = torch.autograd.grad(d(images).sum(), images, create_graph=True)
    penalty = GAMMA / 2 * gradient.square().sum((1, 2, 3)).mean()
    return list(torch.autograd.grad(penalty, list(d.parameters()), allow_unused=True))


def flops_of_the_maths(d: StyleGAN2Discriminator, images: Tensor) -> float:
    """Return the operations of the direct form in the step, layer by layer.

    Every layer runs forward, backward to its input, and twice in the second derivative: forward
    again on the gradient of its input, and for its weights. lrelu is piecewise linear, so it has no
    second derivative. The standard deviation of the minibatch has one. It adds to the layers before
    it the gradients of weights and, except for the first layer, of inputs.
    """
    counted: list[float] = []

    def count(layer: Any, inputs: Any, output: Tensor) -> None:
        before = layer in blocks
        times = 4 + before + (before and layer is not first)
        counted.append(2.0 * times * layer.weight[0].numel() * output.numel())

    layers = [layer for layer in d.modules() if isinstance(layer, (EqualConv2d, EqualLinear))]
    blocks = [layer for layer in layers if layer not in set(d.b4.modules())]
    first = blocks[0]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        d(images)
    for hook in hooks:
        hook.remove()
    return sum(counted)


def side(
    step: Callable[..., list[Tensor | None]],
    backend: str,
    d: StyleGAN2Discriminator,
    images: Tensor,
) -> Results:
    """Return the gradients by parameter; a backend may omit those that are zero everywhere."""
    with ops.use_backend(backend or "reference"):
        found = step(d, images)
    named = zip(d.named_parameters(), found, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in named}


def test_r1_step(benchmark: Any, run: Run) -> None:
    if run.dtype != torch.float32:
        pytest.skip("the step is timed in float32")
    torch.manual_seed(0)
    d = StyleGAN2Discriminator(RESOLUTION, **CHANNELS).to(run.device)
    images = torch.randn(BATCH, 3, RESOLUTION, RESOLUTION, device=run.device).requires_grad_()
    backends = [name for name in OURS[run.device.type] if ops.backends()[name].usable]

    calls: dict[str, Call] = {name: partial(side, r1_step, name, d, images) for name in backends}
    calls["eager"] = partial(side, r1_step, "", d, images)
    counts, launches = {}, {}
    for name, call in calls.items():
        with ConvolutionCalls() as counted:
            call()
        counts[name] = counted.count
        with Launches() as launches[name]:
            call()
    seconds = {}
    torch._dynamo.reset()
    torch._dynamo.config.trace_autograd_ops = True
    for backend in [*backends, ""]:
        compiled = torch.compile(r1_step, fullgraph=True, dynamic=False)
        name = COMPILED[backend]
        calls[name] = partial(side, compiled, backend, d, images)
        start = time.perf_counter()
        calls[name]()
        seconds[name] = time.perf_counter() - start

    exact_images = images.detach().cpu().double().requires_grad_()
    exact = side(r1_step, "", copy.deepcopy(d).cpu().double(), exact_images)
    errors = {}
    for name, call in calls.items():
        found, expected = in_units(call(), exact), in_units(exact, exact)
        check_results(found, expected, TOLERANCE, what=f"the R1 step on {name}")
        errors[name] = largest_error(found, expected)

    convolution, flops = one_convolution(run)
    settings = shortened(run, 1)
    interleaved = Interleaved({CONVOLUTION: convolution, **calls}, run.clock)
    rounds = rounds_for(interleaved.warm_up(), budget=settings.budget, least=settings.least_rounds)
    repeat_in(benchmark)(interleaved.round, rounds)
    timings = interleaved.timings()
    needed, rate = flops_of_the_maths(d, images), flops / timings[CONVOLUTION].median
    notes = [
        f"the floor is {needed / 1e9:.0f} GFLOP at the {rate / 1e9:.0f} GFLOP/s of one F.conv2d",
        "convolutions and products: "
        + ", ".join(f"{title(name)} {count}" for name, count in counts.items()),
        "operators that compute, and what they read and write: "
        + ", ".join(
            f"{title(name)} {one.count:,} and {one.moved / 1e9:.2f} GB"
            for name, one in launches.items()
        ),
        "compiled in "
        + ", ".join(f"{value:.0f} s ({title(name)})" for name, value in seconds.items()),
    ]
    comparison = Comparison(
        op="r1_step",
        case="stylegan2",
        measure="step",
        shape=list(images.shape),
        dtype="float32",
        tensor_bytes=bytes_of(images),
        floor=needed / rate,
        timings=timings,
        flops=needed,
        errors=errors,
        notes=notes,
    )
    benchmark.extra_info.update(extra_info(comparison))
    run.results.name_sides(calls)
    run.results.comparisons.append(comparison)
