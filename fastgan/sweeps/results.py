"""Results of a sweep: trials, the points that they belong to, and files for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from statistics import fmean, stdev
from typing import Any, Literal

from fastgan.files import write_atomic
from fastgan.sweeps.space import Settings

RECORD = "trial.json"
"""File in the folder of a trial that has ended."""


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        settings: values of the varied settings.
        seed: seed of the run.
        folder: folder of the run.
        status: "done", "failed" or "open", which is a run that didn't start or was interrupted.
        error: reason of a failure, else empty.
        value: measure that trials are compared by; None without one.
        measures: all measures at the end of the run.
        nimg: real images shown.
        seconds: time trained.
        symptoms: failures of GAN training by ``fastgan diagnose``; None if it wasn't possible.
    """

    settings: Settings
    seed: int
    folder: Path
    status: Literal["done", "failed", "open"] = "open"
    error: str = ""
    value: float | None = None
    measures: Mapping[str, float] | None = None
    nimg: int = 0
    seconds: float = 0.0
    symptoms: tuple[str, ...] | None = None

    def read(self) -> Trial:
        """Return this trial as its folder records it; unchanged while it is open."""
        try:
            record = json.loads((self.folder / RECORD).read_text("utf-8"))
        except (OSError, ValueError):
            return self
        symptoms = record.pop("symptoms")
        symptoms = None if symptoms is None else tuple(symptoms)
        return Trial(self.settings, self.seed, self.folder, **record, symptoms=symptoms)

    def save(self) -> None:
        """Write the record into the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / RECORD, [as_json(self.outcome())])

    def outcome(self) -> dict[str, Any]:
        """Return what the trial ended with, as plain data."""
        return {
            "status": self.status,
            "error": self.error,
            "value": self.value,
            "measures": None if self.measures is None else dict(self.measures),
            "nimg": self.nimg,
            "seconds": round(self.seconds, 3),
            "symptoms": None if self.symptoms is None else list(self.symptoms),
        }


@dataclass(frozen=True)
class Point:
    """Trials that differ in their seeds alone.

    Attributes:
        settings: values of the varied settings.
        trials: a trial for each seed.
    """

    settings: Settings
    trials: tuple[Trial, ...]

    @property
    def values(self) -> list[float]:
        """Measures of the trials that have one."""
        return [trial.value for trial in self.trials if trial.value is not None]

    @property
    def mean(self) -> float | None:
        """Mean of the measure over the seeds; None before the first one."""
        return fmean(self.values) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def failed(self) -> list[Trial]:
        """Trials that failed."""
        return [trial for trial in self.trials if trial.status == "failed"]


@dataclass(frozen=True)
class Sweep:
    """A sweep that ended, or was stopped.

    Attributes:
        folder: folder of the sweep.
        recipe: name of the recipe.
        figure: name of the measure that trials are compared by.
        label: the same for a person.
        better: "lower" or "higher".
        points: points, the best first; those with failed trials follow the others.
        stopped_by: signal that ended the sweep early, None if none did.
    """

    folder: Path
    recipe: str
    figure: str
    label: str
    better: str
    points: tuple[Point, ...]
    stopped_by: Signals | None = None

    @property
    def best(self) -> Point | None:
        """Point with the best mean, which is a number; None before the first such measure."""
        return next((point for point in self.points if not math.isnan(_known(point))), None)

    @property
    def trials(self) -> list[Trial]:
        """Trials of all points."""
        return [trial for point in self.points for trial in point.trials]

    @property
    def table(self) -> Path:
        """CSV with a line for each trial."""
        return self.folder / "trials.csv"

    @property
    def results(self) -> Path:
        """JSON with the points and their trials, the best first."""
        return self.folder / "results.json"

    @property
    def chart(self) -> Path:
        """Picture of the measure over each varied setting."""
        return self.folder / "chart.png"

    def write(self) -> None:
        """Write the table and the results."""
        write_atomic(self.table, [_csv(self).encode()])
        write_atomic(self.results, [as_json(self._plain())])

    def _plain(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe,
            "figure": self.figure,
            "better": self.better,
            "points": [
                {
                    "settings": point.settings,
                    "mean": point.mean,
                    "spread": point.spread,
                    "trials": [
                        {"seed": trial.seed, "folder": self._inside(trial), **trial.outcome()}
                        for trial in point.trials
                    ],
                }
                for point in self.points
            ],
        }

    def _inside(self, trial: Trial) -> str:
        return trial.folder.relative_to(self.folder).as_posix()


def _known(point: Point) -> float:
    """Return a point's mean; NaN if it has none, or has one that is no number."""
    return math.nan if point.mean is None else point.mean


def rank(points: Sequence[Point], better: str) -> tuple[Point, ...]:
    """Sort points: those without failures first, then by the mean, the best first.

    Points without a mean follow the others, and so do those whose mean is NaN.
    """
    sign = -1 if better == "higher" else 1

    def key(point: Point) -> tuple[bool, bool, float]:
        mean = _known(point)
        unknown = math.isnan(mean)
        return unknown, bool(point.failed), 0.0 if unknown else sign * mean

    return tuple(sorted(points, key=key))


def _csv(sweep: Sweep) -> str:
    measured = list(dict.fromkeys(n for trial in sweep.trials for n in trial.measures or {}))
    varied = list(sweep.points[0].settings) if sweep.points else []
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        [*varied, "seed", "status", *measured, "nimg", "seconds", "symptoms", "error", "folder"]
    )
    for trial in sweep.trials:
        rows.writerow(
            [
                *(trial.settings[name] for name in varied),
                trial.seed,
                trial.status,
                *((trial.measures or {}).get(name, "") for name in measured),
                trial.nimg,
                round(trial.seconds, 3),
                "" if trial.symptoms is None else "; ".join(trial.symptoms) or "healthy",
                trial.error,
                sweep._inside(trial),
            ]
        )
    return text.getvalue()


def as_json(plain: Any) -> bytes:
    """Return plain data as the text of a file."""
    return json.dumps(plain, indent=2).encode() + b"\n"
