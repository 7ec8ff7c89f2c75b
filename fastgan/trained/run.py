"""`train`: a run by the name of its recipe, and the trained networks as its result."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rich.console import Console

from fastgan.data import ImageDataset
from fastgan.recipes import Recipe, get_recipe
from fastgan.recipes.base import hint_for
from fastgan.trained.gan import Trained
from fastgan.trained.opening import from_result
from fastgan.training import Callback, RunOptions, RunSettings
from fastgan.training import train as run
from fastgan.training.config import split_settings
from fastgan.training.resume import saved_run
from fastgan.training.transfer import Source


def train(
    recipe: str | Recipe,
    *,
    data: str | Path | ImageDataset | None = None,
    out: str | Path | None = None,
    init_from: str | Path | Source | None = None,
    callbacks: Sequence[Callback] = (),
    console: Console | Literal["auto"] | None = "auto",
    options: RunOptions | None = None,
    **settings: Any,
) -> Trained:
    """Train a GAN, or go on with a run, and return its networks.

    ``resume=True`` goes on with the run in ``out``. Settings and options that you leave out are
    those of that run.

    The first Ctrl-C or SIGTERM ends the run after the current step, with a checkpoint and the
    report. Then this function raises as Python does for such a signal, since networks of half a
    run are no result. :meth:`fastgan.training.Run.stop` returns them.

    Args:
        recipe: name of a recipe (docs/recipes.md lists them), or a recipe with its settings.
        data: folder of pictures, name of a data set, or a data set. None takes the recipe's default
            (``DCGAN.default_data``), or the data of a resumed run.
        out: folder for the run; None takes ``runs/RECIPE``.
        init_from: trained weights to begin with: a run's folder, a checkpoint, an export as
            safetensors, or a StyleGAN2 file of another program.
        callbacks: called in this order.
        console: output for progress; "auto" is standard output, None is none.
        options: options of the run.
        **settings: settings of the recipe, settings and options of the run by name, such as
            ``ngf=32``, ``total_images=50_000`` and ``checkpoint_every=10_000``.

    Returns:
        The networks at the end of the run; ``result`` holds its folder, ``measures`` its figures.

    Raises:
        FastganError: as :func:`fastgan.training.train`.
        KeyboardInterrupt: Ctrl-C ended the run; it can be resumed.
        SystemExit: SIGTERM ended the run, status 143; it can be resumed.
        TypeError: an unknown setting, or a recipe or data of another type.

    Example:
        >>> gan = fastgan.train("dcgan", data="pictures/", resolution=64)
        >>> gan.sample(16)
    """
    kind, own, of_this_run = sort_settings(recipe, data, out, settings)
    base = recipe if isinstance(recipe, Recipe) else None
    if base is None:
        _, changed = split_settings(of_this_run)
        saved = saved_run(kind, replace(options or RunOptions(), **changed))
        base = None if saved is None else saved[0].recipe
    result = run(
        kind(**own) if base is None else replace(base, **own),
        options=options,
        dataset=data if isinstance(data, ImageDataset) else None,
        init_from=init_from,
        callbacks=callbacks,
        console=console,
        **of_this_run,
    )
    if result.stopped_by is signal.SIGINT:
        raise KeyboardInterrupt(f"the run in {result.run.root} can be resumed")
    if result.stopped_by is not None:
        raise SystemExit(128 + result.stopped_by)
    return from_result(result)


class Sorted(NamedTuple):
    """Recipe of a call, and the settings that it has by name.

    Attributes:
        kind: class of the recipe.
        of_recipe: settings of the recipe.
        of_run: settings and options of the run.
    """

    kind: type[Recipe]
    of_recipe: dict[str, Any]
    of_run: dict[str, Any]


def sort_settings(
    recipe: str | Recipe,
    data: str | Path | ImageDataset | None,
    out: str | Path | None,
    settings: Mapping[str, Any],
) -> Sorted:
    """Sort the settings of a call into those of the recipe and those of the run.

    Raises:
        RecipeError: there is no such recipe.
        TypeError: an unknown setting, or a recipe or data of another type.
    """
    if not isinstance(recipe, (str, Recipe)):
        kind_given = recipe.__name__ if isinstance(recipe, type) else type(recipe).__name__
        hint = "call the class first" if isinstance(recipe, type) else "docs/recipes.md lists them"
        raise TypeError(
            f"recipe must be the name of a recipe or a recipe object, got {kind_given}: {hint}"
        )
    if data is not None and not isinstance(data, (str, Path, ImageDataset)):
        raise TypeError(
            f"data must be a folder, the name of a data set or a data set, got "
            f"{type(data).__name__}: put images in memory into a fastgan.data.InMemoryDataset"
        )
    kind = get_recipe(recipe) if isinstance(recipe, str) else type(recipe)
    of_recipe = {f.name for f in fields(kind)}
    of_run = {f.name for kind in (RunSettings, RunOptions) for f in fields(kind)}
    for name in settings:
        if name not in of_recipe | of_run:
            raise TypeError(_unknown_setting(name, kind.name, sorted(of_recipe | of_run)))
    named = {name: value for name, value in settings.items() if name in of_run}
    if data is not None and not isinstance(data, ImageDataset):
        named["data"] = str(data)
    if out is not None:
        named["out"] = str(out)
    own = {name: value for name, value in settings.items() if name in of_recipe}
    return Sorted(kind, own, named)


def _unknown_setting(name: str, recipe: str, names: Sequence[str]) -> str:
    near = hint_for(name, names)
    hint = f": {near}" if near else f", of {', '.join(names)}."
    return f"{name!r} is no setting of {recipe} and no option of a run{hint}"
