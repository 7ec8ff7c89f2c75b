"""Checks of the arguments of resampling convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from fastgan.ops._cached import cached_in_eager
from fastgan.ops.upfirdn2d.arguments import Pair, Sides, whole_number


def resampling_factor(name: str, value: int) -> int:
    """Return ``value``, or raise unless it is a whole number of at least 1."""
    if type(value) is int and value >= 1:
        return value
    if whole_number(name, value) < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


@cached_in_eager
def check_size(
    shape: Sequence[int], weight: Sequence[int], up: int, down: int, sides: Sequence[int]
) -> None:
    """Raise ValueError for shapes of empty tensors, and if the result would have no pixels."""
    if 0 in shape[1:] or 0 in weight:
        raise ValueError(
            "x and weight must have at least one channel and one pixel, got shapes "
            f"{list(shape)} and {list(weight)}"
        )
    width, height = (
        shape[3 - i] * up + sides[2 * i] + sides[2 * i + 1] - weight[3 - i] + 1 for i in (0, 1)
    )
    if width < down or height < down:
        raise ValueError(
            f"the upsampled, padded and convolved image must have at least {down} by {down} pixels "
            f"to be downsampled by {down}, got {height} by {width}; use more padding or a smaller "
            "kernel"
        )


@cached_in_eager
def around_transposed(kernel: Pair, up: int, sides: Sides) -> tuple[Pair, Sides]:
    """Return the padding ``(y, x)`` of a transposed convolution, and the sides still to pad."""
    kh, kw = kernel
    left, right, top, bottom = (
        sides[0] - kw + 1, sides[1] - kw + up, sides[2] - kh + 1, sides[3] - kh + up
    )  # fmt: skip
    # Pixels that both ends of an axis would lose again are not computed.
    x, y = max(-max(left, right), 0), max(-max(top, bottom), 0)
    return (y, x), (left + x, right + x, top + y, bottom + y)
