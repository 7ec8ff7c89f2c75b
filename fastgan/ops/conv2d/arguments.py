"""Checks of the arguments of convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastgan.ops._checks import check_image, check_parameter


def yx_pair(name: str, value: int | Sequence[int], least: int) -> tuple[int, int]:
    """Return ``(y, x)`` from a number or a pair.

    Raises:
        ValueError: a number is below ``least``, or isn't whole.
    """
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or any(
        isinstance(v, bool) or not isinstance(v, int) or v < least for v in values
    ):
        raise ValueError(
            f"{name} must be a whole number of at least {least}, or two of them (y, x), "
            f"got {value!r}"
        )
    return values


def check_convolution(x: Tensor, weight: Tensor, groups: int, transposed: bool) -> None:
    """Raise TypeError or ValueError unless image, weight and groups fit each other."""
    check_image(x)
    check_parameter("weight", weight, x)
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise ValueError(f"groups must be a whole number of at least 1, got {groups!r}")
    form = "[C, O/groups, kh, kw]" if transposed else "[O, C/groups, kh, kw]"
    if weight.ndim != 4:
        raise ValueError(f"weight must have shape {form}, got {list(weight.shape)}")
    channels = weight.shape[0] if transposed else weight.shape[1] * groups
    if channels != x.shape[1] or weight.shape[0] % groups:
        raise ValueError(
            f"weight {form} must fit x [N, C, H, W] and groups, "
            f"got {list(weight.shape)} for x {list(x.shape)} and {groups} groups"
        )
