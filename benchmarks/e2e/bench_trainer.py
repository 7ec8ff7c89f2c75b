"""A DCGAN step at batch 128 and 64×64 in the whole trainer, against a handwritten step.

The trainer runs with data, log and progress, eager and compiled. A callback runs the other sides
between its steps. The overhead is the trainer's time beyond the handwritten step.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.harness import Run, WrongResult, extra_info
from benchmarks.results import Comparison
from benchmarks.timing import summarise
from fastgan.data import BatchLoader, InMemoryDataset, open_dataset
from fastgan.recipes import DCGAN, Batch, DrawRequest, ImageSpec
from fastgan.training import Callback, train
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

BATCH, RESOLUTION = 128, 64
WARM_UP, STEPS = 2, 9
BY_HAND, TRAINER, COMPILED = "by hand", "trainer", "compiled"


class ByHand:
    """The two updates of a script, from the same networks, images and noise."""

    def __init__(self, recipe: DCGAN, device: torch.device) -> None:
        self.state = TrainState.create(recipe, ImageSpec(3, RESOLUTION), device=device)
        self.g, self.d = self.state.networks["G"], self.state.networks["D"]
        self.optimizers = self.state.optimizers

    def noise(self, real: Tensor) -> list[Tensor]:
        recipe, generator = self.state.recipe, self.state.reseed()
        draws = [recipe.draw_noise(DrawRequest(len(real), 0, generator))["noise"] for _ in range(2)]
        return [z.to(real.device) for z in draws]

    def step(self, real: Tensor) -> None:
        z_for_d, z_for_g = self.noise(real)
        self.g.requires_grad_(False)
        self.d.requires_grad_(True)
        with torch.no_grad():
            fake = self.g(z_for_d)
        loss = softplus(-self.d(real)).mean() + softplus(self.d(fake)).mean()
        loss.backward()
        self.optimizers["D"].step()
        self.optimizers["D"].zero_grad()
        self.g.requires_grad_(True)
        self.d.requires_grad_(False)
        softplus(-self.d(self.g(z_for_g))).mean().backward()
        self.optimizers["G"].step()
        self.optimizers["G"].zero_grad()
        self.state.step += 1


class Interleave(Callback):
    """Timer of the trainer from the end of one call to the start of the next.

    It runs the other sides in these calls.
    """

    def __init__(self, recipe: DCGAN, data: InMemoryDataset, run: Run) -> None:
        self.device = run.device
        self.hand = ByHand(recipe, run.device)
        state = TrainState.create(recipe, ImageSpec(3, RESOLUTION), device=run.device)
        self.compiled = TrainStep(state, compile="step")
        self.loader = BatchLoader(data, seed=0, start=0, batch=BATCH, device=run.device, workers=0)
        self.seconds: dict[str, list[float]] = {BY_HAND: [], TRAINER: [], COMPILED: []}
        self.compile_seconds = 0.0
        self.begins = 0.0

    def on_start(self, run: Any) -> None:
        self.begins = self.now()

    def on_step(self, run: Any, stats: dict[str, Tensor]) -> None:
        self.seconds[TRAINER].append(self.now() - self.begins)
        images, labels = next(self.loader)
        start = self.now()
        self.hand.step(images)
        self.seconds[BY_HAND].append(self.now() - start)
        self.check(run)
        start = self.now()
        self.compiled([Batch(images, labels)])
        self.seconds[COMPILED].append(self.now() - start)
        self.compile_seconds = self.compile_seconds or self.seconds[COMPILED][0]
        self.begins = self.now()

    def check(self, run: Any) -> None:
        """Raise WrongResult unless both first steps lead to the same weights."""
        if run.state.step > 1:
            return
        for name in "GD":
            pairs = zip(
                run.state.networks[name].parameters(), self.hand.state.networks[name].parameters()
            )
            for ours, theirs in pairs:
                if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5):
                    raise WrongResult(
                        f"the trainer's first update of {name} isn't that of the step by hand"
                    )

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def test_dcgan_step(benchmark: Any, run: Run, tmp_path: Path) -> None:
    if run.dtype != torch.float32:
        pytest.skip("the step is timed in float32")
    steps = WARM_UP + (2 if run.budget < 1 else STEPS)
    recipe = DCGAN(batch=BATCH, precision="fp32")
    shapes = open_dataset("shapes", resolution=RESOLUTION)
    # Rendering these in the run would cost a fortieth of the step.
    images, labels = shapes.batch(torch.arange(steps * BATCH))
    data = InMemoryDataset("shapes", images, labels)
    sides = Interleave(recipe, data, run)
    options = {"samples_every": 10**9, "checkpoint_every": 10**9, "log_every": 2 * BATCH}
    benchmark.pedantic(
        lambda: train(
            recipe,
            dataset=data,
            total_images=steps * BATCH,
            out=str(tmp_path / "run"),
            device=run.device.type,
            callbacks=[sides],
            console=None,
            **options,
        ),
        rounds=1,
        iterations=1,
    )
    timings = {name: summarise(seconds[WARM_UP:]) for name, seconds in sides.seconds.items()}
    comparison = Comparison(
        op="dcgan_step",
        case="dcgan",
        measure="step",
        shape=[BATCH, 3, RESOLUTION, RESOLUTION],
        dtype="float32",
        tensor_bytes=BATCH * 3 * RESOLUTION**2 * 4,
        floor=timings[BY_HAND].median,
        timings=timings,
        notes=[
            "the floor is the step by hand",
            f"the trainer's overhead is "
            f"{timings[TRAINER].median / timings[BY_HAND].median - 1:.1%}",
            f"compiled in {sides.compile_seconds:.0f} s",
        ],
    )
    benchmark.extra_info.update(extra_info(comparison))
    run.results.name_sides(timings)
    run.results.comparisons.append(comparison)
