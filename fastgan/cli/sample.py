"""`fastgan sample CHECKPOINT`: draw images from a checkpoint."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import tyro

from fastgan.cli import UsageError
from fastgan.cli.environment import check_environment
from fastgan.cli.parse import parse
from fastgan.runtime import tune_cpu_allocator
from fastgan.train.checkpoint import restore
from fastgan.train.run_dir import find_checkpoint
from fastgan.train.samples import save_grid
from fastgan.train.state import TrainState, derive_seed

MAX_SAMPLES = 10_000


@dataclass(frozen=True)
class SampleOptions:
    """Draw a grid of images from a checkpoint, or from the newest checkpoint of a run's folder."""

    checkpoint: tyro.conf.Positional[str]
    """A checkpoint, or the folder of a run."""
    out: str
    """PNG file to write; one that exists is replaced."""
    seed: int = 0
    """Seed of the noise: the same seed draws the same images."""
    rows: int = 8
    """Rows of the grid."""
    columns: int = 8
    """Columns of the grid."""


def run(arguments: list[str]) -> int:
    """Runs `fastgan sample` with these arguments; returns the exit status."""
    options = parse(SampleOptions, arguments, prog="fastgan sample")
    for option, value in (("--rows", options.rows), ("--columns", options.columns)):
        if value < 1:
            raise UsageError(f"{option} must be at least 1, but {value} came.")
    if options.rows * options.columns > MAX_SAMPLES:
        raise UsageError(
            f"--rows times --columns must be at most {MAX_SAMPLES:,} for one picture, but {options.rows} × "
            f"{options.columns} came."
        )
    if not options.out.lower().endswith(".png"):
        raise UsageError(f"--out must be a file that ends in .png, but {options.out!r} came.")
    check_environment()
    tune_cpu_allocator()
    path, saved, damaged = find_checkpoint(Path(options.checkpoint))
    for error in damaged.values():
        warnings.warn(f"{error} Taking the one before it.", stacklevel=1)
    state = TrainState.create(saved.config.recipe, saved.config.images)
    restore(state, saved, path)
    seed = derive_seed(options.seed, "sample")
    save_grid(
        Path(options.out),
        saved.config.recipe,
        state.sampler,
        seed=seed,
        rows=options.rows,
        columns=options.columns,
    )
    print(
        f"Made {options.out}: {options.rows * options.columns} samples of {saved.config.recipe.name} "
        f"after {state.nimg:,} images, from {path}."
    )
    return 0
