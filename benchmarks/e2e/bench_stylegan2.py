"""StyleGAN2's five steps at 64×64 and 256×256: ours, the reference, torch.compile of it, and the direct form's time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from benchmarks.e2e.bench_r1_step import CONVOLUTION, in_units, one_convolution
from benchmarks.e2e.stylegan2 import STEPS, Game, Gradients, flops_of, take
from benchmarks.harness import Run, bytes_of, check_results, extra_info, largest_error, repeat_in, shortened
from benchmarks.measures import Call, Results
from benchmarks.memory import peak_extra_bytes
from benchmarks.results import Comparison, Memory, title
from benchmarks.sides import OURS
from benchmarks.timing import Interleaved, rounds_for
from fastgan import ops
from fastgan.testing.conv2d_calls import ConvolutionCalls

SIZES: dict[int, dict[str, int]] = {
    64: {"batch": 8, "channel_base": 8192, "channel_max": 256},
    256: {"batch": 2, "channel_base": 16384, "channel_max": 512},
}
ROUNDS = {64: 7, 256: 3}  # at the least; a round of 256 takes half a minute on two cores
# Of a gradient's largest value: where rounding tips an activation's slope, a pixel's share of a bias changes.
TOLERANCE = 2e-2
OF_IMAGES = 1e-3

_games: dict[int, Game] = {}


def game_of(resolution: int, run: Run) -> Game:
    """The networks of a size; one at a time, since those of 256 are large."""
    if resolution not in _games:
        _games.clear()
        _games[resolution] = Game.of(resolution, device=run.device, **SIZES[resolution])
    return _games[resolution]


def side(step: str, function: Callable[[Game], Gradients], backend: str, game: Game) -> Results:
    with ops.use_backend(backend):
        return dict(take(step, function, game))


@pytest.mark.parametrize("resolution", SIZES)
@pytest.mark.parametrize("step", STEPS)
def test_step(benchmark: Any, run: Run, resolution: int, step: str) -> None:
    if run.dtype != torch.float32:
        pytest.skip("the steps are timed in float32")
    game = game_of(resolution, run)
    backends = [name for name in OURS[run.device.type] if ops.backends()[name].usable]
    calls: dict[str, Call] = {name: partial(side, step, STEPS[step], name, game) for name in backends}
    calls["eager"] = partial(side, step, STEPS[step], "reference", game)
    counts = {}
    for name, call in calls.items():
        with ConvolutionCalls() as counted:
            call()
        counts[name] = counted.count

    unavailable, compiling = {}, 0.0
    torch._dynamo.reset()
    torch._dynamo.config.trace_autograd_ops = True
    compiled = torch.compile(STEPS[step], fullgraph=True, dynamic=False)
    calls["compile"] = partial(side, step, compiled, "reference", game)
    start = time.perf_counter()
    try:
        calls["compile"]()
        compiling = time.perf_counter() - start
    except TorchDynamoException as error:
        del calls["compile"]
        unavailable["compile"] = f"torch.compile failed: {str(error).strip().splitlines()[0]}"

    exact = side(step, STEPS[step], "reference", game.exact())
    expected, errors = in_units(exact, exact), {}
    for name, call in calls.items():
        found = in_units(call(), exact)
        tolerance = OF_IMAGES if step == "G forward" else TOLERANCE
        check_results(found, expected, tolerance, what=f"the {step} at {resolution} on {name}")
        errors[name] = largest_error(found, expected)

    convolution, flops = one_convolution(run)
    settings = shortened(run, 1)
    least = min(settings.least_rounds, ROUNDS[resolution])
    interleaved = Interleaved({CONVOLUTION: convolution, **calls}, run.clock)
    rounds = rounds_for(interleaved.warm_up(rounds=1), budget=settings.budget, least=least)
    repeat_in(benchmark)(interleaved.round, rounds)
    timings = interleaved.timings()
    needed, rate = flops_of(step, game), flops / timings[CONVOLUTION].median
    images = len(game.noise) if step == "path length step" else len(game.z)
    peaks = {name: peak_extra_bytes(call, run.device) for name, call in calls.items()}
    speeds = {name: images / timings[name].median for name in calls}
    notes = [
        f"{step} at {resolution}×{resolution}, {images} images: the floor is {needed / 1e9:.0f} GFLOP at the "
        f"{rate / 1e9:.0f} GFLOP/s of one F.conv2d; "
        + ", ".join(f"{title(name)} {speed:.3g} images/s" for name, speed in speeds.items())
        + "; convolutions and products: "
        + ", ".join(f"{title(name)} {count}" for name, count in counts.items())
        + (f"; compiled in {compiling:.0f} s" if compiling else "")
    ]
    label = f"{resolution}×{resolution}"
    comparison = Comparison(
        op="stylegan2",
        case=label,
        measure=step,
        shape=list(game.real.shape),
        dtype="float32",
        tensor_bytes=bytes_of(game.real),
        floor=needed / rate,
        timings=timings,
        unavailable=unavailable,
        flops=needed,
        errors=errors,
        notes=notes,
    )
    benchmark.extra_info.update(extra_info(comparison) | {"peak_bytes": peaks, "images_per_second": speeds})
    run.results.name_sides(calls)
    run.results.comparisons.append(comparison)
    results = sum(bytes_of(t) for t in exact.values() if t is not None) // 2  # float64's half
    network = game.d if step in ("D step", "R1 step") else game.g
    yardstick = bytes_of(game.real) + sum(map(bytes_of, network.parameters())) + results
    run.results.memory.append(
        Memory(
            op="stylegan2",
            case=f"{step}, {label}",
            shape=list(game.real.shape),
            dtype="float32",
            yardstick=yardstick,
            peaks=peaks,
        )
    )
