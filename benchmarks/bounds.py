"""Bounds of measured figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bound:
    """Limit of a figure: the least or the most that passes."""

    kind: Literal["least", "most"]
    limit: float

    def margin(self, figure: float) -> float:
        """Return the distance from the limit as a share of it.

        It is positive inside, negative outside, and NaN for a NaN.
        """
        away = figure - self.limit if self.kind == "least" else self.limit - figure
        return away / self.limit

    def __str__(self) -> str:
        return f"{'>' if self.kind == 'least' else '<'} {self.limit:g}"


def least(limit: float) -> Bound:
    return Bound("least", limit)


def most(limit: float) -> Bound:
    return Bound("most", limit)


def failures(
    name: str, figures: Mapping[str, float], bounds: Mapping[str, Bound], *, margin: float = 0.0
) -> list[str]:
    """Return a text for each figure that doesn't pass its bound by the margin."""
    return [
        f"{name}: {figure} is {figures[figure]:g}, expected {bound}"
        + (f" by a margin of {margin:.0%}" if margin else "")
        for figure, bound in bounds.items()
        if not bound.margin(figures[figure]) > margin
    ]
