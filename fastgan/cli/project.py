"""`fastgan project CHECKPOINT IMAGE`: find the latent of an image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save
from torch import Tensor

from fastgan.cli import UsageError, say
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.data import save_png, to_uint8
from fastgan.data.reading import Fit
from fastgan.files import write_atomic
from fastgan.inference.samples import MIN_TILE
from fastgan.latent import Projection, save_video
from fastgan.latent.video import FORMATS
from fastgan.runtime import tune_cpu_allocator
from fastgan.trained import load

FRAMES = 100


@dataclass(frozen=True)
class ProjectOptions:
    """Find the styles and the noise with which a StyleGAN2 or 3 makes an image like this one."""

    checkpoint: tyro.conf.Positional[str]
    """Checkpoint, folder of a run, or StyleGAN network (.safetensors, .pkl)."""
    image: tyro.conf.Positional[str]
    """Image file."""
    out: str
    """Folder for the results; existing files in it are replaced."""
    steps: int = 1000
    """Steps of the search."""
    fit: Fit | None = None
    """Way to make it square: crop, pad (with black) or stretch; None is the run's own, or crop."""
    range: str | None = None
    """Values LOW:HIGH of black and white if it has above 8 bits, or auto; None is the run's."""
    space: Literal["w", "w+"] = "w"
    """One style for all layers, or one for each, which fits images of other kinds better."""
    seed: int = 0
    """Seed of the search."""
    video: str | None = None
    """Also write a video of the search, as gif or mp4."""


def run(arguments: list[str]) -> int:
    """Run `fastgan project` with these arguments, and return the exit status."""
    options = parse(ProjectOptions, arguments, prog="fastgan project")
    if options.steps < 1:
        raise UsageError(f"--steps must be at least 1, got {options.steps}.")
    if options.video is not None and f".{options.video}" not in FORMATS:
        raise UsageError(f"--video must be gif or mp4, got {options.video!r}.")
    out = Path(options.out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out must be a folder, but {options.out!r} is a file.")
    check_environment()
    tune_cpu_allocator()
    gan = load(options.checkpoint)
    if not gan.can("project"):
        raise UsageError(f"Only a StyleGAN2 or 3 has styles to find, but this is {gan.origin}.")
    target, notes = gan.read_target(options.image, fit=options.fit, range=options.range)
    for note in notes:
        say(note)
    with Progress(
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("projecting", total=options.steps)
        found = gan.project(
            target,
            space=options.space,
            steps=options.steps,
            frame_every=-(-options.steps // FRAMES) if options.video else 0,
            seed=options.seed,
            progress=lambda step, distance: bar.update(
                task, completed=step + 1, description=f"distance {distance:.4f}"
            ),
        )
    write(out, target, found, video=options.video)
    first, last = found.distances[0], found.distances[-1]
    say(
        f"Made {options.out}: {options.image} as {gan.origin}; perceptual distance {last:.4f}, "
        f"from {first:.4f} at the mean of w."
    )
    return 0


def write(out: Path, target: Tensor, found: Projection, *, video: str | None) -> None:
    """Write target.png, projected.png, distances.json and latent.safetensors (ws, noise)."""
    save_png(out / "target.png", to_uint8(target)[0])
    save_png(out / "projected.png", to_uint8(found.image)[0])
    write_atomic(out / "latent.safetensors", [save({"ws": found.ws, **found.noise})])
    write_atomic(out / "distances.json", [json.dumps(found.distances).encode() + b"\n"])
    if video is not None:
        scale = max(1, MIN_TILE // target.shape[-1])
        frames = found.frames.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
        save_video(out / f"way.{video}", frames)
