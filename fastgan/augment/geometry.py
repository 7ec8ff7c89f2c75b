"""Pixel blitting and geometry of ADA: one map of positions per image, applied without aliasing.

A transformation is a matrix ``[N, 3, 3]`` from positions (x, y, 1) in the result to those in the
image. Positions are in pixels from the centre, with y downwards. A chain of transformations is the
product of their matrices in the order of application. Images are mirrored beyond their borders.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from fastgan import ops
from fastgan.augment.base import product
from fastgan.augment.settings import Strengths

Column = Mapping[str, Tensor]


def _matrix(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return ``[N, 3, 3]`` from two rows of entries ``[N]``; the third row is (0, 0, 1)."""
    zero = torch.zeros_like(rows[0][0])
    entries = [*rows[0], *rows[1], zero, zero, torch.ones_like(zero)]
    return torch.stack(entries, 1).unflatten(1, (3, 3))


def _scale(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices that scale positions by x and y."""
    zero = torch.zeros_like(x)
    return _matrix((x, zero, zero), (zero, y, zero))


def _shift(x: Tensor, y: Tensor) -> Tensor:
    """Return matrices that add x and y to positions."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix((one, zero, x), (zero, one, y))


def _turn(cos: Tensor, sin: Tensor) -> Tensor:
    """Return matrices that rotate positions."""
    zero = torch.zeros_like(cos)
    return _matrix((cos, -sin, zero), (sin, cos, zero))


def _chain(*matrices: Tensor) -> Tensor:
    """Return the product of matrices."""
    return functools.reduce(product, matrices)


def blit_matrix(on: Column, u: Column, size: tuple[int, int], strengths: Strengths) -> Tensor:
    """Return x-flip, rotation by multiples of 90° and integer translation as matrices.

    They map whole pixels to whole pixels exactly. Images that are not square are rotated by 0° or
    180°. ``size`` is (H, W).
    """
    height, width = size
    zero = torch.zeros_like(u["flip"])
    flip = torch.where(on["flip"] & (u["flip"] < 0.5), -1.0, zero + 1)
    quarters = (u["rotate90"] * 4).floor() if height == width else (u["rotate90"] * 2).floor() * 2
    quarters = torch.where(on["rotate90"], quarters, zero)
    cos = (quarters == 0).to(zero.dtype) - (quarters == 2).to(zero.dtype)
    sin = (quarters == 1).to(zero.dtype) - (quarters == 3).to(zero.dtype)
    shift = [
        torch.where(
            on["integer_translation"],
            ((2 * u[axis] - 1) * strengths.integer_translation * side).round(),
            zero,
        )
        for axis, side in (("integer_x", width), ("integer_y", height))
    ]
    return _chain(_scale(flip, zero + 1), _turn(cos, sin), _shift(-shift[0], -shift[1]))


def geometry_matrix(
    on: Column, u: Column, z: Column, size: tuple[int, int], strengths: Strengths
) -> Tensor:
    """Return scale, rotation, anisotropic scale, rotation and fractional translation as matrices.

    A rotation before and one after the anisotropic scale let it act along any direction. ``size``
    is (H, W).
    """
    height, width = size
    zero = torch.zeros_like(z["scale"])
    scale = torch.exp2(torch.where(on["scale"], -z["scale"] * strengths.scale, zero))
    stretch = torch.exp2(
        torch.where(
            on["anisotropic_scale"], z["anisotropic_scale"] * strengths.anisotropic_scale, zero
        )
    )
    before, after = (
        torch.where(on[name], (2 * u[name] - 1) * math.radians(strengths.rotation), zero)
        for name in ("rotation_before", "rotation_after")
    )
    shift = [
        torch.where(
            on["fractional_translation"], z[axis] * strengths.fractional_translation * side, zero
        )
        for axis, side in (("fractional_x", width), ("fractional_y", height))
    ]
    return _chain(
        _scale(scale, scale),
        _turn(before.cos(), before.sin()),
        _scale(1 / stretch, stretch),
        _turn(after.cos(), after.sin()),
        _shift(-shift[0], -shift[1]),
    )


def _grid(
    matrix: Tensor, x: Tensor, y: Tensor, size: tuple[int, int], lag: Tensor | float = 0.0
) -> Tensor:
    """Return the positions of result pixels in the image, as grid_sample takes them, from -1 to 1.

    Args:
        matrix: ``[N, 3, 3]``.
        x, y: columns and rows of the result, in pixels from the centre.
        size: (H, W) in these pixels.
        lag: pixels that the image lies to the right and below.

    Returns:
        ``[N, len(y), len(x), 2]``.
    """
    x, y = x[None, None, :], y[None, :, None]
    places = []
    for row, side in ((0, size[1]), (1, size[0])):
        a, b, c = (2 / side * matrix[:, row, :, None, None]).unbind(1)
        places.append(a * x + (b * y + (c + 2 / side * lag)))
    return torch.stack(places, 3)


def _centred(start: int, end: int, side: int, like: Tensor) -> Tensor:
    """Return start to end - 1, relative to the centre of ``side`` pixels."""
    return torch.arange(start, end, dtype=like.dtype, device=like.device) - (side - 1) / 2


def blit(images: Tensor, matrix: Tensor) -> Tensor:
    """Copy the pixels of images ``[N, C, H, W]`` as a :func:`blit_matrix` says, bit by bit."""
    height, width = images.shape[2:]
    grid = _grid(
        matrix,
        _centred(0, width, width, matrix),
        _centred(0, height, height, matrix),
        (height, width),
    )
    return ops.grid_sample(images, grid, mode="nearest", padding_mode="reflection")


def warp(images: Tensor, matrix: Tensor, taps: Tensor) -> Tensor:
    """Transform images ``[N, C, H, W]`` by any matrix.

    Images are upsampled by 2, sampled bilinearly, filtered and downsampled by 2.

    Args:
        images: ``[N, C, H, W]``.
        matrix: ``[N, 3, 3]``.
        taps: float32 ``[12]``, an orthogonal low-pass filter that sums to 1 (sym6). Upsampling
            and downsampling use it in opposite directions, which makes them inverse to each other.
    """
    height, width = images.shape[2:]
    padded = torch.cat([images[..., :3].flip(3), images, images[..., -3:].flip(3)], 3)
    padded = torch.cat([padded[:, :, :3].flip(2), padded, padded[:, :, -3:].flip(2)], 2)
    # [N, C, 2H, 2W].
    fine = ops.upfirdn2d(padded, taps, up=2, padding=(0, -1, 0, -1), gain=4.0)
    # The filter isn't symmetric: each pass moves the image right and down by this many fine pixels.
    lag = ((taps * torch.arange(12, device=taps.device)).sum() - 5.5).to(matrix.dtype)
    doubled = torch.cat([matrix[:, :2, :2], 2 * matrix[:, :2, 2:]], 2)
    # Five pixels more on each side, for the 12 taps of the filter.
    x, y = (_centred(-5, 2 * side + 5, 2 * side, matrix) - lag for side in (width, height))
    moved = ops.grid_sample(
        fine, _grid(doubled, x, y, (2 * height, 2 * width), lag), padding_mode="reflection"
    )
    return ops.upfirdn2d(moved, taps, down=2, flip_filter=True)
