"""StyleGAN2-ADA, trained on drawn faces for the time that is left; its grid is ``grid.png``."""

from __future__ import annotations

import time
from typing import Any

import torch

from fastgan.data import open_dataset
from fastgan.recipes import Batch, ImageSpec
from fastgan.recipes.stylegan2 import StyleGAN2ADA
from fastgan.training.auto_precision import resolve
from fastgan.training.state import TrainState
from tools.gpu_session.clock import synchronize
from tools.gpu_session.context import Context
from tools.gpu_session.png import grid, save_png
from tools.gpu_session.trainer import Unavailable, make_step

#: Seconds between two grids, and those that the last one takes.
EVERY, LAST = 10.0, 2.0


def settings(*, quick: bool) -> tuple[StyleGAN2ADA, int, int]:
    """Return the recipe, the resolution and the number of different real images."""
    if quick:
        sizes: dict[str, Any] = {"channel_base": 64, "channel_max": 4, "z_dim": 4, "w_dim": 4}
        recipe = StyleGAN2ADA(
            batch=4, mapping_layers=1, augment="none", precision="fp32", **sizes
        )  # fmt: skip
        return recipe, 16, 8
    recipe = StyleGAN2ADA(
        batch=64, channel_base=8192, channel_max=256, mapping_layers=2,
        penalty_weight=1.0, ema_kimg=2.0,
    )  # fmt: skip
    return recipe, 64, 2048


def run(context: Context) -> None:
    chosen, resolution, count = settings(quick=context.quick)
    device = context.device
    recipe, _ = resolve(chosen, torch.device(device), None)
    began = time.monotonic()
    # Drawn before: a CPU takes longer for an image than a GPU for a step.
    images, _ = open_dataset("faces", resolution=resolution).batch(torch.arange(count))
    real = images.to(device).float() / 127.5 - 1
    work = f"{recipe.name} {resolution}×{resolution} on faces, batch {recipe.batch}"
    about = {"dtype": str(recipe.precision)}
    context.figure(work, "rendering", time.monotonic() - began, "s", **about)

    state = TrainState.create(recipe, ImageSpec(3, resolution), seed=context.seed, device=device)
    try:
        step = make_step(state, device, graphed=True)
    except Unavailable:
        step = make_step(state, device, graphed=False)
    generator = torch.Generator(device).manual_seed(context.seed)
    labels = torch.zeros(recipe.batch, dtype=torch.int64, device=device)
    save_png(context.out / "real.png", grid(real[:64], 8))

    synchronize(device)
    began = time.monotonic()
    shown, stats = began, {}
    while context.left > LAST:
        places = torch.randint(count, (recipe.batch,), generator=generator, device=device)
        stats = step([Batch(real[places], labels)] * step.batches)
        if context.quick or time.monotonic() - shown > EVERY:
            draw(context, state)
            shown = time.monotonic()
            report(context, work, state, stats, shown - began)
        if context.quick:
            return
    draw(context, state)
    report(context, work, state, stats, time.monotonic() - began)


def draw(context: Context, state: TrainState) -> None:
    """Write the grid of samples so far."""
    noise = torch.Generator().manual_seed(0)
    z = torch.randn(64, state.recipe.z_dim, generator=noise).to(context.device)
    with torch.no_grad():
        samples = state.sampler["G"](z)
    save_png(context.out / "grid.png", grid(samples, 8))


def report(
    context: Context, work: str, state: TrainState, stats: dict[str, Any], seconds: float
) -> None:
    """Report the images shown so far, and the losses of the last step."""
    about = {"dtype": str(state.recipe.precision)}
    context.figure(work, "images shown", float(state.nimg), "images", **about)
    context.figure(work, "speed", state.nimg / seconds, "images/s", **about)
    for name, value in stats.items():
        if name.startswith("loss/"):
            context.figure(work, name, float(value), "loss", **about)
