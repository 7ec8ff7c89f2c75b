"""ADA's pixel blitting and geometry: one map of places per image, executed without aliasing.

A transformation is held as the ``[N, 3, 3]`` matrix from places (x, y, 1) in the result to places in the image, in pixels
from its centre, y downwards; so a chain of them is the product of their matrices in the order in which they are applied.
Beyond its borders an image is mirrored.
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
    """``[N, 3, 3]`` from two rows of ``[N]``; the third is (0, 0, 1)."""
    zero = torch.zeros_like(rows[0][0])
    entries = [*rows[0], *rows[1], zero, zero, torch.ones_like(zero)]
    return torch.stack(entries, 1).unflatten(1, (3, 3))


def _scale(x: Tensor, y: Tensor) -> Tensor:
    zero = torch.zeros_like(x)
    return _matrix((x, zero, zero), (zero, y, zero))


def _shift(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix((one, zero, x), (zero, one, y))


def _turn(cos: Tensor, sin: Tensor) -> Tensor:
    zero = torch.zeros_like(cos)
    return _matrix((cos, -sin, zero), (sin, cos, zero))


def _chain(*matrices: Tensor) -> Tensor:
    return functools.reduce(product, matrices)


def blit_matrix(on: Column, u: Column, size: tuple[int, int], strengths: Strengths) -> Tensor:
    """x-flip, rotation by a multiple of 90° and integer translation: whole pixels to whole pixels, exactly.

    Images that aren't square are turned by 0° or 180°. size: (H, W).
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
    """Scale, rotation, anisotropic scale, rotation and fractional translation.

    A rotation before and one after the anisotropic scale lets that act along any direction. size: (H, W).
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
    """Where the columns ``x`` and rows ``y`` of the result are in the image, as grid_sample takes it: -1 to 1.

    x, y: in pixels from the centre. size: (H, W) in these pixels. lag: by how many the image lies to the right and below.
    Returns ``[N, len(y), len(x), 2]``.
    """
    x, y = x[None, None, :], y[None, :, None]
    places = []
    for row, side in ((0, size[1]), (1, size[0])):
        a, b, c = (2 / side * matrix[:, row, :, None, None]).unbind(1)
        places.append(a * x + (b * y + (c + 2 / side * lag)))
    return torch.stack(places, 3)


def _centred(start: int, end: int, side: int, like: Tensor) -> Tensor:
    """Whole numbers from ``start`` to ``end`` less the place of the middle of ``side`` pixels."""
    return torch.arange(start, end, dtype=like.dtype, device=like.device) - (side - 1) / 2


def blit(images: Tensor, matrix: Tensor) -> Tensor:
    """Copies pixels: ``images[N, C, H, W]`` under a ``blit_matrix``, to the bit."""
    height, width = images.shape[2:]
    grid = _grid(
        matrix,
        _centred(0, width, width, matrix),
        _centred(0, height, height, matrix),
        (height, width),
    )
    return ops.grid_sample(images, grid, mode="nearest", padding_mode="reflection")


def warp(images: Tensor, matrix: Tensor, taps: Tensor) -> Tensor:
    """``images[N, C, H, W]`` under any matrix: upsampled twice, sampled bilinearly, filtered and thinned out.

    taps: an orthogonal low-pass filter of 12 taps that sums to 1 (sym6), float32. It goes one way round up and the other
    way round down, which makes the two steps inverse to each other.
    """
    height, width = images.shape[2:]
    padded = torch.cat([images[..., :3].flip(3), images, images[..., -3:].flip(3)], 3)
    padded = torch.cat([padded[:, :, :3].flip(2), padded, padded[:, :, -3:].flip(2)], 2)
    fine = ops.upfirdn2d(padded, taps, up=2, padding=(0, -1, 0, -1), gain=4.0)  # [N, C, 2H, 2W]
    # The filter isn't symmetric: up and down it puts everything this far to the right and below, in fine pixels.
    lag = ((taps * torch.arange(12, device=taps.device)).sum() - 5.5).to(matrix.dtype)
    doubled = torch.cat([matrix[:, :2, :2], 2 * matrix[:, :2, 2:]], 2)
    x, y = (
        _centred(-5, 2 * side + 5, 2 * side, matrix) - lag for side in (width, height)
    )  # 12 taps to filter
    moved = ops.grid_sample(
        fine, _grid(doubled, x, y, (2 * height, 2 * width), lag), padding_mode="reflection"
    )
    return ops.upfirdn2d(moved, taps, down=2, flip_filter=True)
