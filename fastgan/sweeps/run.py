"""Run of a sweep: check the plan, train each trial, record how it ended."""

from __future__ import annotations

import gc
import json
import re
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from fastgan.data import ImageDataset
from fastgan.diagnose import diagnose_run
from fastgan.errors import FastganError, without_marks
from fastgan.evaluation.plan import compared_by, require_measures
from fastgan.files import is_temporary, write_atomic
from fastgan.metrics import MetricError
from fastgan.metrics.figures import describe, figure_of
from fastgan.recipes import Recipe, RecipeError
from fastgan.sweeps.chart import draw_chart
from fastgan.sweeps.claim import claim
from fastgan.sweeps.errors import SweepError
from fastgan.sweeps.plan import SweepPlan, check_same
from fastgan.sweeps.results import Point, Sweep, Trial, as_json, rank
from fastgan.sweeps.space import Range, Settings, suggest, text_of
from fastgan.training.config import RunConfig
from fastgan.training.curves import require_plotting
from fastgan.training.distributed import World, choose_device
from fastgan.training.loop import NonFiniteWeights, train
from fastgan.training.progress import say
from fastgan.training.run_dir import RunDir
from fastgan.training.run_settings import ConfigError, RunSettings
from fastgan.training.step import TooManySkips, check_settings
from fastgan.training.transfer import Source

SAVED = "sweep.json"
"""File with the plan of a sweep."""
_OF_THE_TRIAL = (TooManySkips, NonFiniteWeights, MetricError, RecipeError)
"""Errors that fail a trial. Others of fastgan end the sweep, since a person can mend them."""
_MOST = 300
"""Characters of an error that is recorded."""


def run_sweep(
    plan: SweepPlan,
    *,
    dataset: ImageDataset | None = None,
    init_from: str | Path | Source | None = None,
    console: Console | None = None,
) -> Sweep:
    """Train the trials of a plan that haven't ended yet, and return the results of all.

    Args:
        dataset: data set that replaces the one named by the plan.
        init_from: trained weights that each run begins with, named by the plan.
        console: console for the progress; None shows nothing.

    Raises:
        SweepError: the folder holds something else, or a sweep with another plan.
        FastganError: as :func:`fastgan.training.train`, for what isn't one trial's failure.
    """
    runner = _Runner(plan, dataset, init_from, console or Console(quiet=True))
    if runner.unfinished:
        runner.check()
        # Suggestions follow from all results so far, so one process makes them.
        with claim(plan.folder) if plan.search == "optuna" else nullcontext(True) as mine:
            if not mine:
                raise SweepError(
                    f"Another process runs the sweep in {str(plan.folder)!r}: wait for it, or stop "
                    f"it first."
                )
            runner.run()
    results = runner.results()
    # Also in place of what another process wrote before the last trial ended.
    results.write()
    if not results.chart.exists():
        draw_chart(results, plan.vary)
    return results


class _Runner:
    """The trials of a sweep, those that have ended and those to run."""

    def __init__(
        self,
        plan: SweepPlan,
        dataset: ImageDataset | None,
        init_from: str | Path | Source | None,
        console: Console,
    ) -> None:
        self._plan, self._console, self._init_from = plan, console, init_from
        self._given = dataset
        self._opened: dict[Any, ImageDataset] = {}
        self._stopped_by: signal.Signals | None = None
        self._elsewhere = 0
        saved = _read(plan.folder)
        fingerprint = None if dataset is None else dataset.fingerprint
        self._saved = saved or {}
        if saved is not None:
            check_same(plan.folder, saved, plan.to_plain(fingerprint))
        self._metric: str | None = self._saved.get("compared_by")
        suggested = [self._restored(point) for point in self._saved.get("points", [])]
        self._points = suggested if plan.search == "optuna" else plan.points()

    @property
    def unfinished(self) -> bool:
        """True if a trial hasn't ended."""
        return len(self._points) < self._plan.count or any(
            trial.status == "open" for trial in self._trials()
        )

    def check(self) -> None:
        """Check every trial before the first one, then write the plan.

        Raises:
            FastganError: a trial can't be run.
        """
        plan = self._plan
        require_plotting()
        choose_device(plan.options.device)
        base = self._data(plan.recipe, plan.settings)
        plain = plan.to_plain(base.fingerprint)
        if self._saved:
            check_same(plan.folder, self._saved, plain)
        self._metric = compared_by(base, plan.options.measure)
        if self._metric is None:
            raise SweepError(
                f"A sweep compares runs by a measure, and there is none for {base.name} but those "
                f"of `measure`: give one, such as fd."
            )
        require_measures(plan.recipe, base, plan.options.measuring)
        for point in self._points or _corners(plan):
            try:
                self._check_point(point)
            except (RecipeError, ConfigError) as error:
                # Points that optuna has yet to suggest may avoid what doesn't go together.
                if self._points or error.setting in plan.vary:
                    raise
        self._saved = plain | {"points": self._saved.get("points", [])}
        self._save_plan()

    def _check_point(self, point: Settings) -> None:
        recipe, settings = self._plan.run_of(point, self._plan.settings.seed)
        check_settings(recipe, World(torch.device("cpu")))
        config = RunConfig.of(recipe, settings, self._data(recipe, settings))
        with torch.random.fork_rng(devices=()), torch.device("meta"):
            recipe.build_networks(config.image_spec)

    def run(self) -> None:
        """Run the trials that are open, and write the results after each."""
        plan = self._plan
        total = plan.count * plan.seeds
        for number, trial in enumerate(self._queue(), 1):
            if trial.read().status != "open":
                continue
            with claim(trial.folder) as mine:
                if not mine:
                    self._elsewhere += 1
                # Another process may have run it since.
                elif trial.read().status == "open":
                    say(self._console, f"Trial {number:,} of {total:,}: {named(trial)}.")
                    self._train(trial)
                    self.results().write()
            if self._stopped_by is not None:
                break
        if self._elsewhere:
            say(self._console, f"{self._elsewhere:,} trials are in the hands of other processes.")
        draw_chart(self.results(), plan.vary)

    def results(self) -> Sweep:
        """Return the results so far."""
        points = [
            Point(point, tuple(self._trial(i, seed).read() for seed in self._seeds()))
            for i, point in enumerate(self._points)
        ]
        measured = next((t.measures for p in points for t in p.trials if t.value is not None), {})
        metric = self._metric or ""
        figure = figure_of(metric, measured or {}) or metric
        label, better = describe(figure) or (figure, "lower")
        return Sweep(
            self._plan.folder,
            self._plan.recipe.name,
            figure,
            label,
            better,
            rank(points, better),
            self._stopped_by,
        )

    def _queue(self) -> Iterator[Trial]:
        """Yield the trials in their order."""
        if self._plan.search != "optuna":
            # Every point is seen once before any is seen twice.
            yield from self._trials()
            return
        for index in range(self._plan.count):
            if index == len(self._points):
                self._points.append(self._suggested())
                self._saved["points"] = self._points
                self._save_plan()
            yield from (self._trial(index, seed) for seed in self._seeds())

    def _suggested(self) -> Settings:
        results = self.results()
        means = {self._points.index(point.settings): point.mean for point in results.points}
        return suggest(
            self._plan.vary,
            [(point, means[i]) for i, point in enumerate(self._points)],
            self._plan.settings.seed,
            higher=results.better == "higher",
        )

    def _train(self, trial: Trial) -> None:
        try:
            recipe, settings = self._plan.run_of(trial.settings, trial.seed)
            options = replace(
                self._plan.options,
                out=str(trial.folder),
                resume=RunDir(trial.folder).config.exists(),
            )
            result = train(
                recipe,
                settings,
                options,
                dataset=self._data(recipe, settings),
                init_from=self._init_from,
                console=self._console,
            )
        except OSError:
            raise
        except Exception as error:
            if isinstance(error, FastganError) and not isinstance(error, _OF_THE_TRIAL):
                raise
            say(self._console, f"The trial failed: {_said(error)}")
            replace(trial, status="failed", error=without_marks(_said(error))).save()
            del error
            gc.collect()
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()
            return
        if result.nimg < settings.total_images:
            self._stopped_by = result.stopped_by or signal.SIGINT
            return
        self._stopped_by = result.stopped_by
        figure = figure_of(self._metric or "", result.measures)
        replace(
            trial,
            status="done" if figure else "failed",
            error="" if figure else f"Not measured: {result.unmeasured}",
            value=None if figure is None else result.measures[figure],
            measures=result.measures,
            nimg=result.nimg,
            seconds=result.seconds,
            symptoms=_symptoms(trial.folder),
        ).save()

    def _data(self, recipe: Recipe, settings: RunSettings) -> ImageDataset:
        """Open the data of a trial once for all trials that read it alike."""
        if self._given is not None:
            return self._given
        key = (settings.resolution, settings.reading(recipe), recipe.task)
        if key not in self._opened:
            self._opened[key] = settings.open_data(recipe)
        return self._opened[key]

    def _trials(self) -> Iterator[Trial]:
        for seed in self._seeds():
            for index in range(len(self._points)):
                yield self._trial(index, seed).read()

    def _trial(self, index: int, seed: int) -> Trial:
        point = self._points[index]
        name = f"{index:03d}-{','.join(f'{k}={text_of(v)}' for k, v in point.items())}"
        name = re.sub(r"[^A-Za-z0-9_.,=+-]", "_", name)[:100]
        return Trial(point, seed, self._plan.folder / "trials" / f"{name},seed={seed}")

    def _seeds(self) -> range:
        first = self._plan.settings.seed
        return range(first, first + self._plan.seeds)

    def _save_plan(self) -> None:
        self._plan.folder.mkdir(parents=True, exist_ok=True)
        plain = self._saved | {"compared_by": self._metric}
        write_atomic(self._plan.folder / SAVED, [as_json(plain)])

    def _restored(self, plain: dict[str, Any]) -> Settings:
        """Return a saved point with the plan's own values, such as tuples."""
        return {
            name: plain[name]
            if isinstance(values, Range)
            else next(v for v in values if json.loads(json.dumps(v)) == plain[name])
            for name, values in self._plan.vary.items()
        }


def named(trial: Trial) -> str:
    """Return the settings and the seed of a trial for a person."""
    settings = [f"{name.replace('_', '-')} {text_of(v)}" for name, v in trial.settings.items()]
    return ", ".join([*settings, f"seed {trial.seed}"])


def _read(folder: Path) -> dict[str, Any] | None:
    """Return the saved plan in a folder; None for a missing or empty folder.

    Raises:
        SweepError: the folder holds something else.
    """
    try:
        plan: dict[str, Any] = json.loads((folder / SAVED).read_text("utf-8"))
        return plan
    except FileNotFoundError:
        if folder.is_dir() and all(is_temporary(p.name, folder / SAVED) for p in folder.iterdir()):
            return None
        if not folder.exists():
            return None
    except (OSError, ValueError) as error:
        raise SweepError(
            f"The plan {str(folder / SAVED)!r} can't be read ({error}): choose another `out`."
        ) from error
    raise SweepError(
        f"There is no sweep to go on with in {str(folder)!r}, but something else is: choose "
        f"another `out`."
    )


def _corners(plan: SweepPlan) -> list[Settings]:
    """Return points that have every value and both ends of every range once."""
    ends = {
        name: [values.low, values.high] if isinstance(values, Range) else list(values)
        for name, values in plan.vary.items()
    }
    first = {name: values[0] for name, values in ends.items()}
    return [first | {name: value} for name, values in ends.items() for value in values]


def _symptoms(folder: Path) -> tuple[str, ...] | None:
    try:
        return tuple(symptom.name for symptom in diagnose_run(folder).symptoms)
    except FastganError:
        return None


def _said(error: Exception) -> str:
    """Return an error in one line."""
    if isinstance(error, FastganError):
        return error.marked
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
