"""Plan of a sweep: the base run, the values to vary, and the search."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from fastgan._version import __version__
from fastgan.names import portable_name
from fastgan.recipes import Recipe
from fastgan.recipes.base import hint_for
from fastgan.sweeps.errors import SweepError
from fastgan.sweeps.space import Range, Settings, Values, draw, grid, text_of
from fastgan.training.config import RunOptions
from fastgan.training.run_settings import RunSettings

Search = Literal["grid", "random", "optuna"]

_EXTENDS = ("seeds", "trials")
"""Entries of a saved plan that may grow."""
_NOT_COMPARED = ("fastgan", "points", "compared_by")
_MEASURES = ("measure", "measure_samples", "measure_features", "measure_weights")


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """Plan of a sweep.

    Attributes:
        recipe: recipe of the base run.
        settings: data, length and first seed of the base run.
        options: options of each run; ``out`` is the folder of the sweep.
        vary: values for each varied setting.
        seeds: runs of each point, with seeds that follow each other.
        random: number of points drawn at random; None for the grid.
        optuna: number of points that optuna suggests; None for no such search.
        init_from: trained weights that each run begins with.

    Raises:
        SweepError: a setting can't be varied, or options don't fit together.
    """

    recipe: Recipe
    settings: RunSettings
    options: RunOptions
    vary: Mapping[str, Values]
    seeds: int = 1
    random: int | None = None
    optuna: int | None = None
    init_from: str | None = None

    def __post_init__(self) -> None:
        if not self.vary:
            raise SweepError("`vary` must name at least one setting, such as lr=1e-4,4e-4.")
        for name, values in self.vary.items():
            check_name(type(self.recipe), name)
            _check_values(name, values)
        for name, count in (
            ("seeds", self.seeds),
            ("random", self.random),
            ("optuna", self.optuna),
        ):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
                raise SweepError.of(name, "a whole number", count)
            if count is not None and count < 1:
                raise SweepError.of(name, "at least 1", count)
        if self.random is not None and self.optuna is not None:
            raise SweepError("`random` and `optuna` exclude each other: choose one search.")
        if "none" in self.options.measure:
            raise SweepError("`measure` must be what runs are compared by, got none: leave it out.")
        if self.optuna is not None and importlib.util.find_spec("optuna") is None:
            raise SweepError(
                "The search `optuna` needs the package optuna, which isn't installed: "
                "pip install 'fastgan[sweep]', or search with `random`."
            )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise SweepError(
                "A sweep must run in one process, not under torchrun: start the same command once "
                "per device to share its trials."
            )

    @property
    def search(self) -> Search:
        """Way in which points are chosen."""
        if self.optuna is not None:
            return "optuna"
        return "grid" if self.random is None else "random"

    @property
    def folder(self) -> Path:
        """Folder of the sweep."""
        return Path(self.options.out or f"sweeps/{self.recipe.name}")

    @property
    def count(self) -> int:
        """Number of points."""
        return self.optuna or len(self.points())

    def points(self) -> list[Settings]:
        """Return the points that are known before the first run; none for optuna.

        Raises:
            SweepError: a grid has a range, or there are fewer points than ``random``.
        """
        if self.search == "optuna":
            return []
        if self.random is None:
            return grid(self.vary)
        return draw(self.vary, self.random, self.settings.seed)

    def run_of(self, point: Settings, seed: int) -> tuple[Recipe, RunSettings]:
        """Return the recipe and the settings of a trial.

        Raises:
            RecipeError, ConfigError: a value can't be used.
        """
        of_the_run = {f.name for f in fields(RunSettings)}
        recipe = {name: value for name, value in point.items() if name not in of_the_run}
        settings = {name: value for name, value in point.items() if name in of_the_run}
        return replace(self.recipe, **recipe), replace(self.settings, seed=seed, **settings)

    def to_plain(self, data_fingerprint: str | None) -> dict[str, Any]:
        """Return the plan as strings, numbers, lists and dicts.

        Args:
            data_fingerprint: SHA-256 of the data set's content; None if it isn't known yet.
        """
        base = {
            f.name: getattr(part, f.name)
            for part in (self.settings, self.recipe)
            for f in fields(part)
            if f.name not in self.vary
        }
        base["data"] = portable_name(self.settings.data)
        plain = {
            "fastgan": __version__,
            "recipe": self.recipe.name,
            "settings": base,
            "data_fingerprint": data_fingerprint,
            "measures": {name: getattr(self.options, name) for name in _MEASURES},
            "init_from": self.init_from,
            "vary": {
                name: str(values) if isinstance(values, Range) else list(values)
                for name, values in self.vary.items()
            },
            "search": self.search,
            "seeds": self.seeds,
            "trials": self.count,
        }
        # Tuples become lists, as in the file.
        read: dict[str, Any] = json.loads(json.dumps(plain))
        return read


def check_same(folder: Path, saved: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    """Check that a plan is the one saved in a folder, possibly with more seeds or points.

    Raises:
        SweepError: it isn't; the message names the first difference.
    """
    old, new = _flat(saved), _flat(plan)
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        grown = name in _EXTENDS and isinstance(was, int) and isinstance(now, int) and now >= was
        if was == now or grown or (name == "data_fingerprint" and now is None):
            continue
        began, got = f"`{name}` {text_of(was)}", text_of(now)
        if name == "data_fingerprint":
            began, got = "other images", "those that `data` holds now"
        raise SweepError(
            f"The sweep in {str(folder)!r} was started with {began}, got {got}: repeat its command "
            f"to go on, or choose another `out` folder."
        )


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's entries by name, those of its tables too."""
    varied = " ".join(f"{name}={_spelt(values)}" for name, values in plain["vary"].items())
    flat: dict[str, Any] = {"recipe": plain["recipe"], "vary": varied, "search": plain["search"]}
    for name, value in plain.items():
        if name in ("settings", "measures"):
            flat |= value
        elif name not in (*flat, *_NOT_COMPARED):
            flat[name] = value
    return flat


def _spelt(values: Any) -> str:
    """Return a range or a list of values with all digits."""
    if isinstance(values, str):
        return values
    return ",".join(repr(v) if isinstance(v, float) else text_of(v) for v in values)


def check_name(recipe: type[Recipe], name: str) -> None:
    """Check that a sweep can vary a setting.

    Raises:
        SweepError: it can't.
    """
    reasons = {
        "seed": "`seeds` says how many seeds each point gets",
        "data": "measures of different data can't be compared",
        **{f.name: "it doesn't change what is learned" for f in fields(RunOptions)},
    }
    if name in reasons:
        raise SweepError(f"`vary` can't take `{name}`: {reasons[name]}.")
    known = [f.name for kind in (recipe, RunSettings) for f in fields(kind)]
    if name not in known:
        hint = hint_for(name, known) or "see the options of the recipe."
        raise SweepError(f"`vary` must name settings of {recipe.name}, got {name!r}: {hint}")


def _check_values(name: str, values: Values) -> None:
    if isinstance(values, Range):
        return
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not values:
        raise SweepError(
            f"`vary` must have a list of values or a Range for `{name}`, got {values!r}."
        )
    try:
        json.dumps(list(values))
    except TypeError:
        raise SweepError(
            f"`vary` must have numbers, words or tuples for `{name}`, got {list(values)!r}: "
            f"convert them, such as by tolist()."
        ) from None
    if any(value in values[:i] for i, value in enumerate(values)):
        raise SweepError(f"`vary` must have different values of `{name}`, got {list(values)}.")
