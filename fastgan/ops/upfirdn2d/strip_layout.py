"""Axes and tiles as Triton's strip kernel sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

SECTOR = 32
"""Bytes of one access to memory."""


class Phase(NamedTuple):
    """A small filter, which gives every ``period``-th output from the r-th on.

    ``out[q·period + r] = Σ_j h[tap + j·up] · in[q·advance + first + j]`` over ``0 <= j < count``.
    """

    first: int
    tap: int
    # A tuple has a method of this name.
    count: int  # type: ignore[assignment]


class Axis(NamedTuple):
    size: int
    out: int
    up: int
    down: int
    pad: int
    taps: int

    @property
    def period(self) -> int:
        return self.up // math.gcd(self.up, self.down)

    @property
    def advance(self) -> int:
        return self.down // math.gcd(self.up, self.down)

    def phases(self) -> list[Phase]:
        found = []
        for r in range(self.period):
            start = r * self.down - self.pad
            tap = -start % self.up
            found.append(
                Phase((start + tap) // self.up, tap, max(-(-(self.taps - tap) // self.up), 0))
            )
        return found


class Layout(NamedTuple):
    """Division of an image into items of the strip kernel, and the kernel's constants.

    Attributes:
        along_x: an item is columns of a contiguous image; else channels of a column.
        group: periods of columns per item.
        vector: lanes of a load, and of a store if lanes are channels.
        store: lanes of a store.
        first_x: place where item 0 starts to read, in units of its loads.
        phases_x: phases whose ``first`` is counted from there.
        span_x: columns that an item reads.
    """

    along_x: bool
    group: int
    vector: int
    store: int
    first_x: int
    phases_x: tuple[Phase, ...]
    span_x: int


def span(phases: Sequence[Phase]) -> int:
    return max(p.first + p.count for p in phases)


def relative(phases: Sequence[Phase], unit: int) -> tuple[int, tuple[Phase, ...]]:
    """Count ``first`` from a whole number of units before the first tap.

    Returns:
        That number and the phases.
    """
    base = min(p.first for p in phases if p.count) // unit
    return base, tuple(p._replace(first=p.first - base * unit if p.count else 0) for p in phases)


def _layout(x: Axis, along_x: bool, group: int, vector: int) -> Layout:
    first, phases = relative(x.phases(), vector if along_x else 1)
    store = math.gcd(x.out, group * x.period) if along_x else vector
    return Layout(
        along_x, group, vector, store, first, phases, (group - 1) * x.advance + span(phases)
    )


def _layouts(x: Axis, inner: int, itemsize: int) -> list[Layout]:
    """Return layouts, from the widest accesses to the fewest registers.

    The wider of an item's loads and stores has at most 128 bits, so that a warp covers memory
    without gaps. Groups of columns fill their vectors.
    """
    widest = 16 // itemsize
    found = []
    if inner == 1 and x.period == 1 << (x.period.bit_length() - 1):
        for group in (8, 4, 2, 1):
            vector = math.gcd(widest, x.size, group * x.advance)
            filled = vector >= group and x.out % (group * x.period) == 0
            if group == 1 or (filled and group * max(x.advance, x.period) <= widest):
                found.append(_layout(x, True, group, vector))
    else:
        vector = math.gcd(widest, inner)
        while vector:
            if inner * itemsize >= SECTOR:
                found.append(_layout(x, False, 2, vector))
            found.append(_layout(x, False, 1, vector))
            vector //= 2
    return found


def choose_layout(
    x: Axis, y: Axis, separable: bool, inner: int, dtype: torch.dtype
) -> Layout | None:
    """Return the first layout whose kernel needs fewer than 128 registers, or None.

    The bounds are those that compilation ahead of time showed.
    """
    span_y = span(relative(y.phases(), 1)[1])
    for layout in _layouts(x, inner, dtype.itemsize):
        lanes = 1 if layout.along_x else layout.vector
        window = span_y * lanes * (layout.group * x.period if separable else layout.span_x)
        loaded = layout.span_x + layout.vector if layout.along_x else layout.span_x * lanes
        weights = y.taps if separable else x.taps * y.taps
        loads = min(y.advance, span_y)
        values = window + loads * loaded + weights
        addresses = 0 if layout.along_x else 2 * loads * layout.span_x
        if values * (2 if dtype == torch.float64 else 1) + addresses < 96:
            return layout
    return None
