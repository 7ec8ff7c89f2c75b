"""How a run begins: on which data, in which folder, and in which state, the same on all ranks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fastgan.data import ImageDataset
from fastgan.errors import FastganError
from fastgan.recipes import Recipe
from fastgan.training.checkpoint import Checkpoint, load_newest, restore, set_aside
from fastgan.training.config import Beginning, ConfigError, RunConfig, save_config
from fastgan.training.distributed import World
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.transfer import Plan, Source, file_of, make_plan, read_source
from fastgan.training.transfer.source import sha256_of


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
        raise OtherRankFailed(
            "Another process of this run couldn't begin: its own output says why."
        )


def open_data(
    recipe: Recipe, settings: RunSettings, dataset: ImageDataset | None, world: World
) -> tuple[ImageDataset, RunConfig]:
    """Return the data set that the settings name, unless one is given, and the configuration.

    Raises DataError or RecipeError; ConfigError if a rank sees other images than rank 0.
    """
    with together(world):
        if dataset is None:
            dataset = settings.open_data(recipe)
        config = RunConfig.of(recipe, settings, dataset)
    with together(world):
        if world.broadcast(config.data_fingerprint) != config.data_fingerprint:
            raise ConfigError(
                f"Process {world.rank} found other images in {settings.data!r} than process 0: "
                f"give every machine the same data."
            )
    return dataset, config


class Opened(NamedTuple):
    """How a run begins. config: settled, as it is stored. news: what a person should know about it."""

    config: RunConfig
    state: TrainState
    news: list[str]


class _Claimed(NamedTuple):
    """What rank 0 finds and tells the others. path, saved: of a checkpoint. plan: trained weights to begin with."""

    config: RunConfig
    path: Path | None = None
    saved: dict[str, Any] | None = None
    plan: Plan | None = None
    news: Sequence[str] = ()


def open_state(
    folder: RunDir,
    config: RunConfig,
    world: World,
    *,
    resume: bool,
    init_from: str | Path | Source | None = None,
) -> Opened:
    """The state to go on from, or the first one for a new run, which `init_from` gives its weights.

    Rank 0 alone reads and writes; the others are told. Raises RunDirError, ConfigError, CheckpointError; TransferError or
    CompatError for weights to begin with.
    """
    claimed = _Claimed(config)
    with together(world):
        if world.is_main:
            claimed = _claim(folder, config, resume=resume or _restarted(), init_from=init_from)
    claimed = world.broadcast(claimed)
    config = claimed.config
    state = TrainState.create(
        config.recipe,
        config.image_spec,
        seed=config.settings.seed,
        device=world.device,
        plan=claimed.plan,
    )
    if config.beginning is not None:
        state.trained = config.beginning.whole
    if claimed.path is not None:
        restore(state, Checkpoint(config, claimed.saved or {}), claimed.path)
    return Opened(config, state, list(claimed.news))


def _restarted() -> bool:
    """Whether torchrun started this process in place of one that failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _claim(
    folder: RunDir, config: RunConfig, *, resume: bool, init_from: str | Path | Source | None
) -> _Claimed:
    """Makes the folder, or finds the newest intact checkpoint in it and puts damaged ones aside."""
    saved_config = folder.saved_config() if resume else None
    config = config.settled(saved_config)
    if saved_config is None:
        claimed = _begin(config, init_from)
        folder.create()
        if resume:
            news = f"Nothing is in {folder.root} yet to resume: starting from the beginning."
            claimed = claimed._replace(news=[news, *claimed.news])
    else:
        claimed = _go_on(folder, config, saved_config, init_from)
        folder.tidy()
    save_config(folder.config, claimed.config)
    return claimed


def _begin(config: RunConfig, init_from: str | Path | Source | None) -> _Claimed:
    if init_from is None:
        return _Claimed(config)
    source = init_from if isinstance(init_from, Source) else read_source(init_from)
    recipe, plan = make_plan(source, config.recipe, config.image_spec)
    recipe.check_images(config.image_spec)
    config = replace(config, recipe=recipe, beginning=plan.beginning)
    return _Claimed(config, plan=plan, news=plan.news)


def _go_on(
    folder: RunDir, config: RunConfig, saved: RunConfig, init_from: str | Path | Source | None
) -> _Claimed:
    _check_beginning(saved.beginning, init_from)
    saved.check_resumable(config)
    found = load_newest(folder.checkpoints)
    if found is None:  # killed before the first checkpoint
        if saved.beginning is None:
            return _Claimed(config)
        return _begin_again(config, saved.beginning, init_from)
    found.saved.config.check_resumable(config)
    news = [
        f"{error} It was renamed to {set_aside(path).name}, and the one before it is taken."
        for path, error in found.damaged.items()
    ]
    news += _new_ends(found.saved.config.recipe, config.recipe, found.saved.state["nimg"])
    return _Claimed(config, found.path, found.saved.state, news=news)


def _new_ends(was: Recipe, now: Recipe, nimg: int) -> list[str]:
    """A line for each end of a schedule that a resumed run moves."""
    names = [name for name in now.extends if getattr(now, name) != getattr(was, name)]
    return [
        f"`{name}` is {getattr(now, name)} now, and was {getattr(was, name)}: after {nimg:,} images "
        f"learning rates go on at {now.lr_lambda(nimg):.3g} times their first values in place of {was.lr_lambda(nimg):.3g}."
        for name in names
    ]


def _begin_again(
    config: RunConfig, beginning: Beginning, init_from: str | Path | Source | None
) -> _Claimed:
    """Begins once more with the same weights. Raises ConfigError where they are no longer there."""
    claimed = _begin(config, init_from or beginning.source)
    assert claimed.config.beginning is not None
    if claimed.config.beginning.sha256 != beginning.sha256:
        raise ConfigError(
            f"This run began with {beginning.title} and has no checkpoint yet, but {beginning.source!r} holds other "
            f"weights now: start another run in a new `out` folder."
        )
    return claimed


def _check_beginning(beginning: Beginning | None, init_from: str | Path | Source | None) -> None:
    """Raises ConfigError for other weights than those that the run began with."""
    if init_from is None:
        return
    path = init_from.path if isinstance(init_from, Source) else str(init_from)
    if beginning is None:
        raise ConfigError(
            f"This run began with weights drawn from its seed, got `init_from` {path}: leave it out to go on, or "
            f"start another run in a new `out` folder."
        )
    if path == beginning.source:
        return
    try:
        its_hash = sha256_of(file_of(path))
    except (FastganError, OSError):
        its_hash = "unknown"
    if its_hash != beginning.sha256:
        raise ConfigError(
            f"This run began with {beginning.title}, got `init_from` {path}, which is another file: leave it out to "
            f"go on, or start another run in a new `out` folder."
        )
