"""Start of a run: its data, folder and first state, the same on all ranks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fastgan.data import ImageDataset
from fastgan.errors import FastganError
from fastgan.recipes import Recipe
from fastgan.training.auto_precision import resolve
from fastgan.training.checkpoint import Checkpoint, load_newest, restore, set_aside
from fastgan.training.config import (
    Beginning,
    ConfigError,
    RunConfig,
    RunOptions,
    load_options,
    save_config,
)
from fastgan.training.defaults import Defaults
from fastgan.training.distributed import World
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.transfer import Plan, Source, file_of, make_plan, read_source
from fastgan.training.transfer.source import sha256_of


class OtherRankFailed(FastganError):
    """Another process of the run couldn't begin; this one is well."""


@contextmanager
def together(world: World) -> Iterator[None]:
    """Run a block that all ranks leave alike: an error on one of them ends all.

    Raises:
        OtherRankFailed: another rank failed.
        Exception: this rank's own error.
    """
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
    """Open the data set that the settings name, unless there is one, and make the configuration.

    Raises:
        DataError, RecipeError: the data can't be read, or don't suit the recipe.
        ConfigError: a rank sees other images than rank 0.
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


def saved_run(recipe: type[Recipe], options: RunOptions) -> tuple[RunConfig, RunOptions] | None:
    """Return the run that is resumed: its configuration, and the options that it keeps.

    Args:
        recipe: recipe of the run.
        options: options with the run's folder; those of this start, such as the device, are kept.

    Returns:
        None without ``options.resume``, and if there is no run yet.

    Raises:
        ConfigError: it is the run of another recipe.
        RunDirError, CheckpointError, RecipeError: the run can't be read.
    """
    folder = RunDir(Path(options.out or f"runs/{recipe.name}"))
    config = folder.saved_config() if options.resume else None
    if config is None:
        return None
    if type(config.recipe) is not recipe:
        raise ConfigError(
            f"The recipe of the run in {str(folder.root)!r} must be {config.recipe.name!r}, got "
            f"{recipe.name!r}: name that recipe, or choose another `out` folder."
        )
    return config, load_options(folder.options, replace(options, out=str(folder.root)))


class Opened(NamedTuple):
    """Start of a run.

    Attributes:
        config: configuration as it is stored.
        state: state to train from.
        news: remarks for a person.
    """

    config: RunConfig
    state: TrainState
    news: list[str]


class _Claimed(NamedTuple):
    """Start of a run as rank 0 finds it and sends it to the others.

    Attributes:
        config: configuration as it is stored.
        path: file of the checkpoint to resume from, None without one.
        saved: state in that checkpoint.
        plan: trained weights to begin with.
        news: remarks for a person.
    """

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
    """Return the saved state of a run, or the first state of a new one.

    Rank 0 alone reads and writes files, and sends their content to the others.

    Args:
        folder: folder of the run.
        config: configuration of the run.
        world: this process among those of the run.
        resume: continue the run in the folder, if there is one.
        init_from: trained weights that a new run begins with.

    Raises:
        RunDirError, ConfigError, CheckpointError: the folder can't be used or resumed.
        TransferError, CompatError: ``init_from`` holds no weights that fit.
    """
    claimed = _Claimed(config)
    with together(world):
        if world.is_main:
            claimed = _claim(
                folder,
                config,
                world.device,
                resume=resume or _restarted(),
                init_from=init_from,
            )
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
    """Return True if torchrun started this process in place of a failed one."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _claim(
    folder: RunDir,
    config: RunConfig,
    device: torch.device,
    *,
    resume: bool,
    init_from: str | Path | Source | None,
) -> _Claimed:
    """Make the folder, or find the newest intact checkpoint in it and rename damaged ones."""
    saved_config = folder.saved_config() if resume else None
    saved_recipe = None if saved_config is None else saved_config.recipe
    recipe, precision = resolve(config.recipe, device, saved_recipe)
    config = replace(config, recipe=recipe).settled(saved_config)
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
    preset = _preset(claimed.config.defaults, resumed=saved_config is not None)
    return claimed._replace(news=[*claimed.news, *preset, precision])


def _preset(defaults: Defaults | None, *, resumed: bool) -> list[str]:
    if defaults is None:
        return []
    return [f"Preset {defaults.preset}, as the run was started." if resumed else defaults.line]


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
    newest = load_newest(folder.checkpoints)
    # None: the run was killed before its first checkpoint.
    if newest is None:
        if saved.beginning is None:
            return _Claimed(config)
        return _begin_again(config, saved.beginning, init_from)
    newest.saved.config.check_resumable(config)
    _check_length(config, saved, newest.saved.state["nimg"])
    news = [
        f"{error} It was renamed to {set_aside(path).name}, and the one before it is taken."
        for path, error in newest.damaged.items()
    ]
    news += _new_ends(newest.saved.config.recipe, config.recipe, newest.saved.state["nimg"])
    return _Claimed(config, newest.path, newest.saved.state, news=news)


def _check_length(now: RunConfig, saved: RunConfig, nimg: int) -> None:
    """Raise ConfigError for a new length that the run has passed already."""
    length = now.settings.total_images
    if length != saved.settings.total_images and length < nimg:
        raise ConfigError.of(
            "total_images",
            f"at least the {nimg:,} images that this run has shown",
            length,
            "leave it out to go on with the run, or raise it to train longer",
        )


def _new_ends(was: Recipe, now: Recipe, nimg: int) -> list[str]:
    """Return a line for each end of a schedule that a resumed run moves."""
    names = [name for name in now.extends if getattr(now, name) != getattr(was, name)]
    return [
        f"`{name}` is {getattr(now, name)} now, and was {getattr(was, name)}: after {nimg:,} "
        f"images learning rates go on at {now.lr_lambda(nimg):.3g} times their first values in "
        f"place of {was.lr_lambda(nimg):.3g}."
        for name in names
    ]


def _begin_again(
    config: RunConfig, beginning: Beginning, init_from: str | Path | Source | None
) -> _Claimed:
    """Begin again with the same weights.

    Raises:
        ConfigError: they are no longer there.
    """
    claimed = _begin(config, init_from or beginning.source)
    assert claimed.config.beginning is not None
    if claimed.config.beginning.sha256 != beginning.sha256:
        raise ConfigError(
            f"This run began with {beginning.title} and has no checkpoint yet, "
            f"but {beginning.source!r} holds other weights now: start another run in a "
            f"new `out` folder."
        )
    return claimed


def _check_beginning(beginning: Beginning | None, init_from: str | Path | Source | None) -> None:
    """Raise ConfigError for other weights than those that the run began with."""
    if init_from is None:
        return
    path = init_from.path if isinstance(init_from, Source) else str(init_from)
    if beginning is None:
        raise ConfigError(
            f"This run began with weights drawn from its seed, got `init_from` {path}: leave it "
            f"out to go on, or start another run in a new `out` folder."
        )
    if path == beginning.source:
        return
    try:
        its_hash = sha256_of(file_of(path))
    except (FastganError, OSError):
        its_hash = "unknown"
    if its_hash != beginning.sha256:
        raise ConfigError(
            f"This run began with {beginning.title}, got `init_from` {path}, which is another "
            f"file: leave it out to go on, or start another run in a new `out` folder."
        )
