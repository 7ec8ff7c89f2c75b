"""`sweep`: a sweep by the name of its recipe."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from fastgan.data import ImageDataset
from fastgan.recipes import Recipe
from fastgan.sweeps.plan import SweepPlan
from fastgan.sweeps.results import Sweep
from fastgan.sweeps.run import run_sweep
from fastgan.sweeps.space import Values
from fastgan.trained.run import sort_settings
from fastgan.training import RunOptions, RunSettings
from fastgan.training.config import split_settings
from fastgan.training.transfer import Source


def sweep(
    recipe: str | Recipe,
    *,
    vary: Mapping[str, Values],
    seeds: int = 1,
    random: int | None = None,
    optuna: int | None = None,
    data: str | Path | ImageDataset | None = None,
    out: str | Path | None = None,
    init_from: str | Path | Source | None = None,
    console: Console | Literal["auto"] | None = "auto",
    options: RunOptions | None = None,
    **settings: Any,
) -> Sweep:
    """Train a recipe at several values of its settings, and compare the runs by their measure.

    Without ``random`` and ``optuna`` every combination of the values is a point. The same call goes
    on with a sweep that was stopped, and trains nothing if it has ended. A trial that fails is
    recorded, and the sweep goes on.

    Args:
        recipe: name of a recipe (docs/recipes.md lists them), or a recipe with its settings.
        vary: for each setting to vary a list of values, or a :class:`Range` of numbers. They are
            settings of the recipe, ``total_images``, ``resolution``, ``fit`` or ``range``.
        seeds: runs of each point, with the seeds from ``seed`` on.
        random: points to draw at random, by ``seed``.
        optuna: points that optuna's TPE sampler suggests, each from the results before it.
        data: folder of pictures, name of a data set, or a data set. None takes the recipe's
            default.
        out: folder for the sweep; None takes ``sweeps/RECIPE``.
        init_from: trained weights that each run begins with, as in :func:`fastgan.train`.
        console: output for progress; "auto" is standard output, None is none.
        options: options of each run.
        **settings: settings of the recipe, settings and options of each run by name. Points are
            compared by the first of ``measure``, or by the data's own measure.

    Returns:
        Points with their trials, the best first. Each trial is a run that :func:`fastgan.load`
        opens.

    Raises:
        SweepError: a setting can't be varied, or ``out`` holds something else.
        RecipeError, ConfigError: a value can't be used; nothing was trained.
        FastganError: as :func:`fastgan.train`, for what isn't the failure of one trial.
        KeyboardInterrupt: Ctrl-C ended the sweep; the same call goes on.
        SystemExit: SIGTERM ended the sweep, status 143; the same call goes on.
        TypeError: an unknown setting, or a recipe or data of another type.

    Example:
        >>> found = fastgan.sweep("dcgan", vary={"lr": [1e-4, 4e-4], "batch": [16, 64]}, seeds=3)
        >>> found.best.settings, found.best.mean
    """
    given = sort_settings(recipe, data, out, settings)
    base = recipe if isinstance(recipe, Recipe) else given.kind()
    of_run, of_options = split_settings(given.of_run)
    base = replace(base, **given.of_recipe)
    plan = SweepPlan(
        recipe=base,
        settings=RunSettings.of(base, **of_run),
        options=replace(options or RunOptions(), **of_options),
        vary=dict(vary),
        seeds=seeds,
        random=random,
        optuna=optuna,
        init_from=name_of(init_from),
    )
    found = run_sweep(
        plan,
        dataset=data if isinstance(data, ImageDataset) else None,
        init_from=init_from,
        console=Console() if console == "auto" else console,
    )
    if found.stopped_by is signal.SIGINT:
        raise KeyboardInterrupt(f"the sweep in {found.folder} can be continued")
    if found.stopped_by is not None:
        raise SystemExit(128 + found.stopped_by)
    return found


def name_of(source: str | Path | Source | None) -> str | None:
    """Return the path of trained weights as a plan keeps it."""
    return source.path if isinstance(source, Source) else None if source is None else str(source)
