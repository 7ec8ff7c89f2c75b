"""The results of a session as dataclasses, and their file.

This module needs the standard library alone, as the session's own process does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

VERSION = 1
Status = Literal["running", "done", "failed", "timed out", "stopped", "skipped"]


class ResultsError(ValueError):
    """The file doesn't hold the results of a session; the message says where."""


KINDS: dict[type, str] = {
    bool: "True or False", dict: "an object", float: "a number", int: "a whole number",
    list: "a list", str: "a text", type(None): "None",
}  # fmt: skip


def check(owner: object, **kinds: type | tuple[type, ...]) -> None:
    """Raise ResultsError if a field of ``owner`` isn't of its type; an int may be a float."""
    for name, kind in kinds.items():
        value = getattr(owner, name)
        named = (kind,) if isinstance(kind, type) else kind
        allowed = (*named, int) if float in named else named
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            expected = " or ".join(KINDS[one] for one in named)
            raise ResultsError(
                f"{name} of {type(owner).__name__} must be {expected}, got {value!r}"
            )


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Args:
        work: what ran, with its size.
        measure: what was measured of it.
        value: the value, None if there is none; ``note`` then says why.
        unit: unit of the value.
        side: which side of a comparison it belongs to, a backend for example.
        dtype: dtype or precision.
        floor: the least time that the work can take, in the same unit.
        note: where the time goes, or why there is no value.
    """

    work: str
    measure: str
    value: float | None
    unit: str
    side: str = ""
    dtype: str = ""
    floor: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check(self, work=str, measure=str, unit=str, side=str, dtype=str, note=str)
        check(self, value=(float, type(None)), floor=(float, type(None)))
        if self.value is None and not self.note:
            raise ResultsError(f"{self.work}, {self.measure}: a figure without value needs a note")

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Name the figure; a later one of the same name replaces it."""
        return self.work, self.measure, self.dtype, self.side, self.unit


@dataclass
class StageResult:
    """One stage: how it ended, and its figures.

    Args:
        name: name of the stage.
        status: how it ended. A stage that failed keeps the figures from before.
        limit: seconds that it was given.
        seconds: seconds that it took.
        message: the reason for any other status than ``done``.
        figures: its figures in the order of their measurement.
    """

    name: str
    status: Status
    limit: float = 0.0
    seconds: float = 0.0
    message: str = ""
    figures: list[Figure] = field(default_factory=list)

    def __post_init__(self) -> None:
        check(self, name=str, status=str, limit=float, seconds=float, message=str, figures=list)
        if self.status not in get_args(Status):
            raise ResultsError(f"status must be one of {get_args(Status)}, got {self.status!r}")

    def add(self, figure: Figure) -> None:
        """Add a figure, or replace the earlier one of its name."""
        for place, other in enumerate(self.figures):
            if other.key == figure.key:
                self.figures[place] = figure
                return
        self.figures.append(figure)


@dataclass
class SessionResults:
    """A session.

    Args:
        device: ``cuda`` or ``cpu``.
        quick: True for a dry run, whose figures mean nothing.
        seed: seed of the drawn tests, inputs and the training.
        budget: seconds that the whole session may take.
        seconds: seconds that it took until now.
        environment: machine and versions by name.
        stages: all stages that began or were skipped.
    """

    device: str
    quick: bool
    seed: int
    budget: float
    seconds: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)
    stages: list[StageResult] = field(default_factory=list)
    version: int = VERSION

    def __post_init__(self) -> None:
        check(self, device=str, quick=bool, seed=int, budget=float, seconds=float, version=int)
        check(self, environment=dict, stages=list)
        for name, value in self.environment.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ResultsError(f"environment must hold texts, got {name!r}: {value!r}")
        if self.version != VERSION:
            raise ResultsError(f"version must be {VERSION}, got {self.version}")

    def stage(self, name: str) -> StageResult | None:
        """Return a stage by name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def figures(self, stage: str) -> list[Figure]:
        """Return a stage's figures, none if it didn't run."""
        found = self.stage(stage)
        return [] if found is None else found.figures

    def save(self, path: Path) -> None:
        """Write the file in one piece: a reader sees the old content or the new one."""
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    @classmethod
    def load(cls, path: Path) -> SessionResults:
        """Read and check the file of :meth:`save`.

        Raises:
            ResultsError: it can't be read, or something in it isn't as it must be.
        """
        try:
            plain = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ResultsError(f"{path} can't be read: {error}") from error
        results = make(cls, plain)
        stages = [make(StageResult, stage) for stage in results.stages]
        stages = [
            replace(stage, figures=[make(Figure, figure) for figure in stage.figures])
            for stage in stages
        ]
        return replace(results, stages=stages)


def make(kind: type, plain: Any) -> Any:
    """Return a dataclass of its fields as plain data.

    Raises:
        ResultsError: a field is missing, unknown or of another type.
    """
    if not isinstance(plain, Mapping):
        raise ResultsError(f"{kind.__name__} must be an object, got {plain!r}")
    names = {entry.name for entry in fields(kind)}
    if unknown := sorted(set(plain) - names):
        raise ResultsError(f"{kind.__name__} has no {unknown[0]!r}")
    try:
        return kind(**plain)
    except TypeError as error:
        raise ResultsError(str(error)) from error
