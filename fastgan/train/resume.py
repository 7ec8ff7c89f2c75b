"""How a run begins: on which data, in which folder, and in which state, the same on all ranks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastgan.data import ImageDataset
from fastgan.errors import FastganError
from fastgan.recipes import Recipe
from fastgan.train.checkpoint import Checkpoint, Found, load_newest, restore, set_aside
from fastgan.train.config import ConfigError, RunConfig, save_config
from fastgan.train.distributed import World
from fastgan.train.run_dir import RunDir
from fastgan.train.state import TrainState


class OtherRankFailed(FastganError):
    """This process is well, but another one of the run couldn't begin."""


@contextmanager
def together(world: World) -> Iterator[None]:
    """A block that all ranks leave alike: an error on one of them ends all. Raises that error, or OtherRankFailed."""
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    failed = world.any(failure is not None)
    if failure is not None:
        raise failure
    if failed:
        raise OtherRankFailed("Another process of this run couldn't begin: its own output says why.")


def open_data(recipe: Recipe, dataset: ImageDataset | None, world: World) -> tuple[ImageDataset, RunConfig]:
    """The data set, `recipe`'s own unless one is given, and what makes the run this run.

    Raises DataError or RecipeError; ConfigError if a rank sees other images than rank 0.
    """
    with together(world):
        if dataset is None:
            dataset = recipe.open_data()
        config = RunConfig.of(recipe, dataset)
    with together(world):
        if world.broadcast(config.data_fingerprint) != config.data_fingerprint:
            raise ConfigError(
                f"Process {world.rank} found other images in {recipe.data!r} than process 0: "
                f"give every machine the same data."
            )
    return dataset, config


def open_state(
    folder: RunDir, config: RunConfig, world: World, *, resume: bool
) -> tuple[RunConfig, TrainState, list[str]]:
    """The run's settled configuration, the state to go on from, and what a person should know about it.

    Rank 0 alone reads and writes; the others are told. Raises RunDirError, ConfigError, CheckpointError.
    """
    found: Found | None = None
    news: list[str] = []
    with together(world):
        if world.is_main:
            config, found, news = _claim(folder, config, resume=resume or _restarted())
    config = world.broadcast(config)
    path, saved = world.broadcast((found.path, found.saved.state) if found else (None, {}))
    state = TrainState.create(config.recipe, config.images, device=world.device)
    if path is not None:
        restore(state, Checkpoint(config, saved), path)
    return config, state, news


def _restarted() -> bool:
    """Whether torchrun started this process in place of one that failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _claim(folder: RunDir, config: RunConfig, *, resume: bool) -> tuple[RunConfig, Found | None, list[str]]:
    """Makes the folder, or finds the newest intact checkpoint in it and puts damaged ones aside."""
    found: Found | None = None
    news: list[str] = []
    saved_config = folder.saved_config() if resume else None
    config = config.settled(saved_config)
    if saved_config is not None:
        saved_config.check_resumable(config)
        if (found := load_newest(folder.checkpoints)) is not None:
            found.saved.config.check_resumable(config)
            for path, error in found.damaged.items():
                news.append(
                    f"{error} It was renamed to {set_aside(path).name}, and the one before it is taken."
                )
            news += _new_ends(found.saved.config.recipe, config.recipe, found.saved.state["nimg"])
        folder.tidy()
    else:
        folder.create()
        if resume:
            news.append(f"Nothing is in {folder.root} yet to resume: starting from the beginning.")
    save_config(folder.config, config)
    return config, found, news


def _new_ends(was: Recipe, now: Recipe, nimg: int) -> list[str]:
    """A line for each end of a schedule that a resumed run moves."""
    names = [name for name in now.extends if name != "images" and getattr(now, name) != getattr(was, name)]
    return [
        f"--{name.replace('_', '-')} is {getattr(now, name)} now, and was {getattr(was, name)}: after {nimg:,} images "
        f"learning rates go on at {now.rate(nimg):.3g} times their first values in place of {was.rate(nimg):.3g}."
        for name in names
    ]
