"""Settings that a sweep varies, and the points that a search takes of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from fastgan.seeds import derive_seed
from fastgan.sweeps.errors import SweepError

DIGITS = 4
"""Significant digits of drawn numbers, so that a name of a folder can hold them."""
_TRIES = 100


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``: whole ones if both are ints.

    Attributes:
        low: least number.
        high: greatest number.
        log: draw the logarithm evenly, and show it on a logarithmic axis.

    Raises:
        SweepError: ``low`` isn't less than ``high``, or ``log`` needs positive numbers.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for end in (self.low, self.high):
            if isinstance(end, bool) or not isinstance(end, (int, float)) or not math.isfinite(end):
                raise SweepError(f"The ends of a range must be finite numbers, got {end!r}.")
        if not self.low < self.high:
            raise SweepError(f"A range must go from a lower to a higher number, got {self}.")
        if self.log and self.low <= 0:
            raise SweepError(f"A logarithmic range must be of positive numbers, got {self}.")

    def __str__(self) -> str:
        return f"{self.low!r}..{self.high!r}{':log' if self.log else ''}"

    @property
    def whole(self) -> bool:
        """True for whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> float:
        """Return the number at a share of the way from low to high, 0 to 1."""
        low, high = float(self.low), float(self.high)
        # Every whole number gets an equal part of the way.
        if self.whole:
            low, high = low - (0 if self.log else 0.5), high + (0 if self.log else 0.5)
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        return self.fit(value)

    def fit(self, value: float) -> float:
        """Return a number as this range has it: whole or rounded, and inside."""
        near = round(value) if self.whole else float(f"{value:.{DIGITS}g}")
        return min(max(near, self.low), self.high)


Values = Sequence[Any] | Range
"""Values of a setting: a list, or a range."""
Settings = dict[str, Any]
"""A value for each varied setting."""


def grid(vary: Mapping[str, Values]) -> list[Settings]:
    """Return every combination of the values, those of the last setting changing fastest.

    Raises:
        SweepError: a setting has a range.
    """
    lists: dict[str, Sequence[Any]] = {}
    for name, values in vary.items():
        if isinstance(values, Range):
            raise SweepError(
                f"A grid needs the values of `{name}` one by one, got the range {values}: list "
                f"them, or draw from the range with `random`."
            )
        lists[name] = values
    return [dict(zip(lists, values)) for values in itertools.product(*lists.values())]


def draw(vary: Mapping[str, Values], count: int, seed: int) -> list[Settings]:
    """Return different points at random. A longer list of a seed begins with a shorter one.

    Raises:
        SweepError: there are fewer than ``count`` points.
    """
    points: list[Settings] = []
    chance = Random(derive_seed(seed, "sweep"))
    while len(points) < count:
        for _ in range(_TRIES):
            point = {name: _one(values, chance.random()) for name, values in vary.items()}
            if point not in points:
                break
        else:
            raise SweepError.of(
                "random",
                "at most the number of different points",
                count,
                f"only {len(points)} were found; leave `random` out for the whole grid",
            )
        points.append(point)
    return points


def suggest(
    vary: Mapping[str, Values],
    told: Sequence[tuple[Settings, float | None]],
    seed: int,
    *,
    higher: bool,
) -> Settings:
    """Return the point that optuna's TPE sampler tries next.

    Nothing but ``told`` is remembered, so a sweep goes on from its own records.

    Args:
        told: earlier points, each with its mean measure, None if it failed.
        seed: seed of the sweep.
        higher: True if a higher measure is better.
    """
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.trial import TrialState, create_trial

    def distribution(values: Values) -> BaseDistribution:
        if not isinstance(values, Range):
            return CategoricalDistribution(range(len(values)))
        if values.whole:
            return IntDistribution(int(values.low), int(values.high), log=values.log)
        return FloatDistribution(values.low, values.high, log=values.log)

    space = {name: distribution(values) for name, values in vary.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if higher else "minimize",
        sampler=optuna.samplers.TPESampler(seed=derive_seed(seed, "sweep", len(told)) % 2**32),
    )
    for point, value in told:
        params = {
            name: point[name] if isinstance(values, Range) else list(values).index(point[name])
            for name, values in vary.items()
        }
        # The sampler keeps away from pruned trials, and forgets failed ones.
        state = TrialState.PRUNED if value is None else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, value=value, params=params, distributions=space))
    chosen = study.ask(space).params
    return {
        name: values.fit(chosen[name]) if isinstance(values, Range) else values[chosen[name]]
        for name, values in vary.items()
    }


def _one(values: Values, share: float) -> Any:
    if isinstance(values, Range):
        return values.at(share)
    return values[int(share * len(values))]


def text_of(value: Any) -> str:
    """Return a value of a setting in a few characters, as in tables and names of folders."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (tuple, list)):
        return " ".join(map(text_of, value))
    return "none" if value is None else str(value)
