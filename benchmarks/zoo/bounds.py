"""Bounds of the zoo's runs, by recipe; each of `SEEDS` has to pass them."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.bounds import Bound, failures, least, most
from benchmarks.zoo.run import Outcome

SEEDS = (0, 1, 2)

# Ten classes of even weight hold a tenth each.
_DIGITS = {"smallest_class": least(0.03), "sure": least(0.6)}

BOUNDS: Mapping[str, Mapping[str, Bound]] = {
    "stylegan3-t": {"kl_to_uniform": most(0.2), **_DIGITS},
    "stylegan3-r": {"kl_to_uniform": most(0.2), **_DIGITS},
}
"""Limits of measures after training, by recipe; the others have none yet."""


def outside(outcome: Outcome) -> list[str]:
    """Return a text for each figure of an outcome that is outside its bound."""
    return failures(
        f"{outcome.name}, seed {outcome.seed}", outcome.trained, BOUNDS.get(outcome.name, {})
    )
