"""Bounds of the zoo's runs, by recipe; each of `SEEDS` has to pass them."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.bounds import Bound, failures
from benchmarks.zoo.run import Outcome

SEEDS = (0, 1, 2)

BOUNDS: Mapping[str, Mapping[str, Bound]] = {}
"""Limits of measures after training, by recipe; the others have none yet."""


def outside(outcome: Outcome) -> list[str]:
    """Return a text for each figure of an outcome that is outside its bound."""
    return failures(
        f"{outcome.name}, seed {outcome.seed}", outcome.trained, BOUNDS.get(outcome.name, {})
    )
