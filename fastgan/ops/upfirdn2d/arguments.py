"""Arguments that upfirdn2d and the convolutions around it share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.ops._cached import cached_in_eager
from fastgan.ops._checks import kind
from fastgan.ops.upfirdn2d import reference

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def check_filter(f: Tensor | None, device: torch.device, name: str = "f") -> None:
    """Raise TypeError or ValueError unless ``f`` is a filter on ``device``, or None."""
    if f is None:
        return
    if not isinstance(f, Tensor) or f.dtype != torch.float32:
        raise TypeError(
            f"{name} must be a float32 tensor or None, got {kind(f)}; make one with setup_filter"
        )
    if f.ndim not in (1, 2) or 0 in f.shape:
        raise ValueError(
            f"{name} must have shape [taps] or [taps_y, taps_x], not empty, got {list(f.shape)}"
        )
    if f.device != device:
        raise ValueError(f"{name} must be on the device of x, {device}, got {f.device}")
    if f.requires_grad:
        raise ValueError(
            f"{name} must not require a gradient, since filters get none; pass {name}.detach()"
        )


def whole_number(name: str, value: object) -> int:
    """Return ``value``, or raise TypeError unless it is a whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, torch.SymInt)):
        raise TypeError(f"{name} must be a whole number or a sequence of them, got {value!r}")
    return value  # type: ignore[return-value]


def xy_pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Return ``(x, y)`` factors of at least 1 from a number or a pair."""
    if type(value) is int and value >= 1:
        return value, value
    given = list(value) if isinstance(value, (tuple, list)) else [value, value]
    if len(given) != 2:
        raise ValueError(f"{name} must be a whole number or (x, y), got {value!r}")
    x, y = (whole_number(name, v) for v in given)
    if x < 1 or y < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    return x, y


def four_sides(padding: int | Sequence[int]) -> Sides:
    """Return the padding left, right, top and bottom."""
    if type(padding) is int:
        return padding, padding, padding, padding
    given = list(padding) if isinstance(padding, (tuple, list)) else [padding, padding]
    found = [whole_number("padding", v) for v in given]
    if len(found) == 2:
        found = [found[0], found[0], found[1], found[1]]
    if len(found) != 4:
        raise ValueError(
            f"padding must be a whole number, (x, y) or (x0, x1, y0, y1), got {padding!r}"
        )
    return found[0], found[1], found[2], found[3]


@cached_in_eager
def centred_up(taps: Pair, up: Pair, sides: Sides) -> Sides:
    """Return ``sides`` with the padding that centres the upsampled image; 1 keeps its size."""
    (tx, ty), (ux, uy) = taps, up
    return (
        sides[0] + (tx + ux - 1) // 2, sides[1] + (tx - ux) // 2,
        sides[2] + (ty + uy - 1) // 2, sides[3] + (ty - uy) // 2,
    )  # fmt: skip


@cached_in_eager
def centred_down(taps: Pair, down: Pair, sides: Sides) -> Sides:
    """Return ``sides`` with the padding that centres the downsampled image."""
    (tx, ty), (dx, dy) = taps, down
    return (
        sides[0] + (tx - dx + 1) // 2, sides[1] + (tx - dx) // 2,
        sides[2] + (ty - dy + 1) // 2, sides[3] + (ty - dy) // 2,
    )  # fmt: skip


@cached_in_eager
def places_and_size(
    size: Pair, taps: Pair, up: Pair, down: Pair, sides: Sides, centred: bool
) -> tuple[Pair, Pair]:
    """Return the padding before the image and the size of the result, along x and y.

    With ``centred``, the sides are in addition to those that centre the result.

    Raises:
        ValueError: the result would be empty.
    """
    if centred:
        sides = centred_up(taps, up, sides) if down == (1, 1) else centred_down(taps, down, sides)
    width = size[0] * up[0] + sides[0] + sides[1]
    height = size[1] * up[1] + sides[2] + sides[3]
    if width < taps[0] or height < taps[1]:
        raise ValueError(
            f"the upsampled and padded image must be at least as large as the filter, "
            f"{taps[1]} by {taps[0]} taps, got {height} by {width} pixels; "
            "use more padding or fewer taps"
        )
    found = ((width - taps[0]) // down[0] + 1, (height - taps[1]) // down[1] + 1)
    return (sides[0], sides[2]), found


@cached_in_eager
def filtered_size(
    size: Pair, taps_up: Pair, taps_down: Pair, up: int, down: int, sides: Sides
) -> tuple[Pair, Pair]:
    """Return the padding before the image and the size of the result of filtered_lrelu.

    Raises:
        ValueError: the result would be empty.
    """
    width = size[0] * up + sides[0] + sides[1]
    height = size[1] * up + sides[2] + sides[3]
    # Both filters together take as many pixels as one that is both in a row.
    taps = taps_up[0] + taps_down[0] - 1, taps_up[1] + taps_down[1] - 1
    if width < taps[0] or height < taps[1]:
        raise ValueError(
            f"the upsampled and padded image must be at least as large as both filters in a row, "
            f"{taps[1]} by {taps[0]} taps, got {height} by {width} pixels; "
            "use more padding or fewer taps"
        )
    found = ((width - taps[0]) // down + 1, (height - taps[1]) // down + 1)
    return (sides[0], sides[2]), found


def filter_taps(f: Tensor | None) -> tuple[int, int]:
    """Return the number of taps along x and y."""
    return reference.axis_taps(f) if isinstance(f, Tensor) and f.ndim else (1, 1)
