"""Checks of the arguments of grid_sample."""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._checks import check_device, check_input, kind, under_autocast
from fastgan.ops._numerics import accumulate_dtype

MODES = ("bilinear", "nearest")
PADDING_MODES = ("zeros", "border", "reflection")
LARGEST = 2**31 - 1
"""Most pixels of an image."""


def check_image(x: Tensor) -> None:
    """Raise TypeError or ValueError unless ``x`` is ``[N, C, H, W]`` with at least one pixel."""
    check_input(x)
    if x.ndim != 4 or 0 in x.shape[2:]:
        raise ValueError(
            f"x must have shape [N, C, H, W] with at least one pixel, got {list(x.shape)}"
        )


def fitting_grid(grid: Tensor, x: Tensor) -> Tensor:
    """Return ``grid`` in the accumulation dtype of ``x``.

    Raises:
        TypeError, ValueError: its dtype, shape or device doesn't fit ``x``.
    """
    check_input(grid, "grid")
    if grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != x.shape[0]:
        raise ValueError(
            f"grid must have shape [N, Ho, Wo, 2] with the N of x, {x.shape[0]}, "
            f"got {list(grid.shape)}"
        )
    computed = accumulate_dtype(x.dtype)
    if grid.dtype not in (x.dtype, computed) and not under_autocast(x):
        allowed = " or ".join(map(str, dict.fromkeys((x.dtype, computed))))
        raise TypeError(
            f"grid must be {allowed} for x of {x.dtype}, got {grid.dtype}; "
            f"convert it with grid.to({computed})"
        )
    check_device("grid", grid, x)
    for name, (height, width) in (("x", x.shape[2:]), ("grid", grid.shape[1:3])):
        if height * width > LARGEST:
            raise ValueError(
                f"{name} must have at most 2^31 - 1 pixels per image, got {height} by {width}; "
                "split it"
            )
    return grid.to(computed)


def check_settings(mode: str, padding_mode: str, align_corners: bool) -> None:
    """Raise TypeError or ValueError for an unknown setting."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if padding_mode not in PADDING_MODES:
        raise ValueError(
            f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}"
        )
    if not isinstance(align_corners, bool):
        raise TypeError(f"align_corners must be True or False, got {kind(align_corners)}")
