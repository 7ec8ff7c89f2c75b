"""Training steps of StyleGAN2 and DCGAN: images per second, where the time goes, and equal losses.

The trainer's own step runs on random images that lie on the device, without data and log. Figures
are averages of :data:`STEPS` steps, in which StyleGAN2 has one of R1 and four of the path length.
Before, it takes as many for which the losses are compared. Graphs take further ones, since the
trainer records an update at its fourth call.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fastgan import ops
from fastgan.recipes import DCGAN, Batch, ImageSpec, Recipe
from fastgan.recipes.stylegan2 import StyleGAN2
from fastgan.training.state import TrainState
from tools.gpu_session.clock import counting_syncs, profile, synchronize
from tools.gpu_session.context import Context, free_memory
from tools.gpu_session.trainer import Unavailable, Warnings, make_step

#: Steps of a measurement: a period of StyleGAN2's regularisers.
STEPS = 16
#: Steps that are profiled, those after the first ones of a period: they have no R1, and one of the
#: path length.
FEW = 4
#: Periods after which all updates are recorded: R1 is called once in each.
UNTIL_RECORDED = 4
LOSSES = "losses, against eager"
SMALLEST_BATCH = 4
EAGER, GRAPHED, PLAIN = "eager", "graphed", "plain PyTorch"


@dataclass(frozen=True)
class Work:
    """A recipe at a resolution, and the sides that take its steps.

    Args:
        sides: ``eager`` first, with which the others are compared; ``graphed`` by CUDA graphs;
            ``plain PyTorch`` without our kernels.
    """

    recipe: Recipe
    resolution: int
    sides: tuple[str, ...] = (EAGER, GRAPHED)

    @property
    def name(self) -> str:
        """The recipe with the size of its images and batch."""
        size = f"{self.resolution}×{self.resolution}"
        return f"{self.recipe.name} {size}, batch {self.recipe.batch}"


def works(*, quick: bool) -> list[Work]:
    """Return the works, the most important ones first."""
    if quick:
        narrow: dict[str, Any] = {"channel_base": 64, "channel_max": 4, "z_dim": 4, "w_dim": 4}
        return [
            Work(StyleGAN2(batch=4, mapping_layers=1, precision="fp32", **narrow), 8),
            Work(DCGAN(batch=4, ngf=4, ndf=4, precision="fp32"), 16, (EAGER, PLAIN)),
        ]
    return [
        Work(StyleGAN2(precision="fp16"), 256, (EAGER, GRAPHED, PLAIN)),
        Work(StyleGAN2(precision="tf32"), 256),
        Work(DCGAN(precision="tf32"), 64, (EAGER, GRAPHED, PLAIN)),
        Work(DCGAN(precision="bf16"), 64),
        Work(StyleGAN2(precision="bf16"), 256),
        Work(StyleGAN2(precision="fp32"), 256, (EAGER,)),
    ]


def run(context: Context) -> None:
    for work in works(quick=context.quick):
        if context.left < 8.0 and not context.quick:
            about = {"dtype": work.recipe.precision, "note": "no time was left"}
            context.figure(work.name, "speed", None, "images/s", **about)
            continue
        take_all(context, work)


def take_all(context: Context, work: Work) -> None:
    """Report all sides of a work; a GPU with too little memory takes half of the batch."""
    eager: list[dict[str, float]] = []
    for side in work.sides:
        dtype = str(work.recipe.precision)
        # Networks, states and updates refer to each other.
        free_memory()
        with context.attempt(work.name, "speed", "images/s", side=side, dtype=dtype):
            try:
                losses = take(context, work, side)
            except Unavailable as reason:
                about = {"side": side, "dtype": dtype, "note": str(reason)}
                context.figure(work.name, "speed", None, "images/s", **about)
                continue
            except torch.OutOfMemoryError:
                smaller = work.recipe.batch // 2
                if side != EAGER or smaller < SMALLEST_BATCH:
                    raise
                losses = None
            if losses is None:
                # Outside of the handler, whose exception holds the tensors.
                free_memory()
                return take_all(context, replace(work, recipe=replace(work.recipe, batch=smaller)))
            if side == EAGER:
                eager = losses
            elif eager:
                largest = difference(eager, losses)
                context.figure(work.name, LOSSES, largest, "relative", side=side, dtype=dtype)


def difference(first: Sequence[dict[str, float]], second: Sequence[dict[str, float]]) -> float:
    """Return the largest difference of two runs' statistics, relative to the first one's."""
    found = [
        abs(ours - theirs[name]) / max(abs(ours), 1e-6)
        for one, theirs in zip(first, second, strict=True)
        for name, ours in one.items()
    ]
    return max(found)


class Steps:
    """The trainer's steps of a work, on two batches in turn."""

    def __init__(self, context: Context, work: Work, side: str) -> None:
        self.device = context.device
        generator = torch.Generator(self.device).manual_seed(context.seed)
        shape = (work.recipe.batch, 3, work.resolution, work.resolution)
        self.batches = [
            Batch(
                torch.rand(shape, generator=generator, device=self.device) * 2 - 1,
                torch.zeros(work.recipe.batch, dtype=torch.int64, device=self.device),
            )
            for _ in range(2)
        ]
        spec = ImageSpec(3, work.resolution)
        state = TrainState.create(work.recipe, spec, seed=context.seed, device=self.device)
        self.step = make_step(state, self.device, graphed=side == GRAPHED)
        self.images = work.recipe.batch * self.step.batches
        self.taken = 0

    def __call__(self, count: int) -> None:
        """Take steps."""
        for _ in range(count):
            self.one()

    def one(self) -> dict[str, Any]:
        """Take a step; return its statistics, as tensors that the next step may overwrite."""
        batch = self.batches[self.taken % 2]
        self.taken += 1
        return self.step([batch] * self.step.batches)


def take(context: Context, work: Work, side: str) -> list[dict[str, float]]:
    """Report the figures of one side; return the statistics of its first steps."""
    few = 1 if context.quick else FEW
    period = 2 * few if context.quick else STEPS
    about = {"side": side, "dtype": str(work.recipe.precision)}
    with ops.use_backend("reference" if side == PLAIN else None), Warnings() as warnings:
        steps = Steps(context, work, side)
        first = [{name: float(value) for name, value in steps.one().items()} for _ in range(period)]
        if side == GRAPHED:
            steps(UNTIL_RECORDED * period)
        profiled, host, wall = timed(steps, few, period)
        speed = steps.images * period / wall
        milliseconds = {"a step": wall / period, "issuing a step": host / period}
        with counting_syncs(context.device) as syncs:
            steps(few)
        seen = profile(lambda: steps(few), context.device)
    said = "; ".join(dict.fromkeys(warnings.texts))
    context.figure(work.name, "speed", speed, "images/s", note=said, **about)
    for measure, seconds in milliseconds.items():
        context.figure(work.name, measure, seconds * 1e3, "ms", **about)
    share = 100 * seen.busy / profiled
    note = seen.most(5)
    context.figure(work.name, "GPU busy", share, "%", note=note, **about)
    context.figure(work.name, "launches per step", seen.launches / few, "launches", **about)
    context.figure(work.name, "kernels per step", seen.kernels / few, "kernels", **about)
    waits = sum(syncs.values()) / few
    places = ", ".join(f"{place} {count}×" for place, count in syncs.most_common(4))
    context.figure(work.name, "waits for the GPU per step", waits, "syncs", note=places, **about)
    return first


def timed(steps: Steps, few: int, period: int) -> tuple[float, float, float]:
    """Return the seconds of the steps to profile, those of issuing a period, and of all of it."""
    spans, issued = [], 0.0
    synchronize(steps.device)
    for count in (few, few, period - 2 * few):
        began = time.perf_counter()
        steps(count)
        issued += time.perf_counter() - began
        synchronize(steps.device)
        spans.append(time.perf_counter() - began)
    return spans[1], issued, sum(spans)
