"""Training steps in bfloat16 on a CPU with AMX, against the same steps in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from benchmarks.harness import Run, WrongResult, extra_info, repeat_in, shortened
from benchmarks.measures import Results
from benchmarks.results import Comparison
from benchmarks.timing import Interleaved, rounds_for
from fastgan.ops.conv2d.choice import has_amx_kernels
from fastgan.recipes import DCGAN, R3GAN, Batch, ImageSpec, Recipe, StyleGAN2
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

RESOLUTION = 64
FLOAT32, BFLOAT16 = "float32", "bfloat16"
# Of a loss and of a gradient's norm, relative to those of float32, or to 1 if they are smaller.
TOLERANCE = 0.05

Factory = Callable[[Any], Recipe]
RECIPES: dict[str, tuple[int, Factory]] = {
    "dcgan": (32, lambda precision: DCGAN(batch=32, precision=precision)),
    "r3gan": (
        8,
        lambda precision: R3GAN(
            batch=8, channel_base=4096, channel_max=256, half_resolutions=5, precision=precision
        ),
    ),
    "stylegan2": (
        8,
        lambda precision: StyleGAN2(
            batch=8, channel_base=8192, channel_max=256, half_resolutions=5, precision=precision
        ),
    ),
}


class Steps:
    """Steps of a recipe from the same networks, images and noise, as a call.

    Regularisers that don't run in every step are left out.
    """

    def __init__(self, recipe: Recipe, batch: int, device: torch.device) -> None:
        torch.manual_seed(0)
        self.state = TrainState.create(recipe, ImageSpec(3, RESOLUTION), device=device)
        self.take = TrainStep(self.state)
        images = torch.rand(batch, 3, RESOLUTION, RESOLUTION) * 2 - 1
        self.batches = [Batch(images.to(device), None)] * self.take.batches

    def __call__(self) -> Results:
        self.state.step = 1
        return dict(self.take(self.batches))


@pytest.mark.parametrize("name", RECIPES)
def test_precisions(benchmark: Any, run: Run, name: str) -> None:
    if run.device.type != "cpu" or run.dtype != torch.float32:
        pytest.skip("the steps are timed on a CPU, by one run of both precisions")
    if not has_amx_kernels():
        pytest.skip("bfloat16 is slow on a CPU without AMX (amx_tile, amx_bf16)")
    batch, recipe = RECIPES[name]
    sides = {
        BFLOAT16: Steps(recipe("bf16"), batch, run.device),
        FLOAT32: Steps(recipe("fp32"), batch, run.device),
    }
    error = _difference(*(steps() for steps in sides.values()), name)
    settings = shortened(run, 1)
    interleaved = Interleaved(sides, run.clock)
    warm_up = interleaved.warm_up(rounds=1)
    rounds = rounds_for(warm_up, budget=settings.budget, least=min(settings.least_rounds, 3))
    repeat_in(benchmark)(interleaved.round, rounds)
    timings = interleaved.timings()
    comparison = Comparison(
        op="precisions",
        case=name,
        measure="step",
        shape=[batch, 3, RESOLUTION, RESOLUTION],
        dtype=BFLOAT16,
        tensor_bytes=batch * 3 * RESOLUTION**2 * 4,
        floor=timings[FLOAT32].median,
        timings=timings,
        errors={BFLOAT16: error},
        notes=[
            "the floor is the step in float32; the error is that of losses and norms of gradients",
            f"{name} is {timings[FLOAT32].median / timings[BFLOAT16].median:.2f} times as fast in "
            "bfloat16",
        ],
    )
    benchmark.extra_info.update(extra_info(comparison))
    run.results.name_sides(sides)
    run.results.comparisons.append(comparison)


def _difference(half: Results, full: Results, name: str) -> float:
    """Return the largest difference of a loss or norm; raise WrongResult if it is too large."""
    worst = 0.0
    for key, expected in full.items():
        found = half[key]
        assert found is not None and expected is not None
        scale = max(abs(float(expected)), 1.0)
        difference = abs(float(found) - float(expected)) / scale
        if not difference <= TOLERANCE:
            raise WrongResult(
                f"{key} of {name} is {float(found):.4g} in bfloat16 and {float(expected):.4g} in "
                "float32, so it is not timed"
            )
        worst = max(worst, difference)
    return worst
