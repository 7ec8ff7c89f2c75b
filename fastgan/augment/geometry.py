"""ADA's pixel blitting and geometry: one map of places per image, executed without aliasing.

A transformation is held as the ``[N, 3, 3]`` matrix from places (x, y, 1) in the result to places in the image, in pixels
from its centre, y downwards; so a chain of them is the product of their matrices in the order in which they are applied.
Beyond its borders an image is mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from fastgan import ops
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
    return _scale(flip, zero + 1) @ _turn(cos, sin) @ _shift(-shift[0], -shift[1])


def geometry_matrix(on: Column, u: Column, z: Column, size: tuple[int, int], strengths: Strengths) -> Tensor:
    """Scale, rotation, anisotropic scale, rotation and fractional translation.

    A rotation before and one after the anisotropic scale lets that act along any direction. size: (H, W).
    """
    height, width = size
    zero = torch.zeros_like(z["scale"])
    scale = torch.exp2(torch.where(on["scale"], -z["scale"] * strengths.scale, zero))
    stretch = torch.exp2(
        torch.where(on["anisotropic_scale"], z["anisotropic_scale"] * strengths.anisotropic_scale, zero)
    )
    before, after = (
        torch.where(on[name], (2 * u[name] - 1) * math.radians(strengths.rotation), zero)
        for name in ("rotation_before", "rotation_after")
    )
    shift = [
        torch.where(on["fractional_translation"], z[axis] * strengths.fractional_translation * side, zero)
        for axis, side in (("fractional_x", width), ("fractional_y", height))
    ]
    return (
        _scale(scale, scale)
        @ _turn(before.cos(), before.sin())
        @ _scale(1 / stretch, stretch)
        @ _turn(after.cos(), after.sin())
        @ _shift(-shift[0], -shift[1])
    )


def _places(matrix: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pixels of rows ``y`` and columns ``x`` of the result come from: x and y, ``[N, len(y), len(x)]`` each."""
    x, y = x[None, None, :], y[None, :, None]
    (ax, bx, cx), (ay, by, cy) = (matrix[:, row, :, None, None].unbind(1) for row in (0, 1))
    return ax * x + (bx * y + cx), ay * x + (by * y + cy)


def blit(images: Tensor, matrix: Tensor) -> Tensor:
    """Copies pixels: ``images[N, C, H, W]`` under a ``blit_matrix``, to the bit."""
    height, width = images.shape[2:]
    x, y = (torch.arange(n, dtype=matrix.dtype, device=matrix.device) - (n - 1) / 2 for n in (width, height))
    from_x, from_y = _places(matrix, x, y)
    column = _mirrored_index(from_x + (width - 1) / 2, width)
    row = _mirrored_index(from_y + (height - 1) / 2, height)
    index = (row * width + column).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).unflatten(2, (height, width))


def _mirrored_index(place: Tensor, size: int) -> Tensor:
    place = place.round().long().remainder(2 * size)
    return torch.where(place < size, place, 2 * size - 1 - place)


def warp(images: Tensor, matrix: Tensor, taps: Tensor) -> Tensor:
    """``images[N, C, H, W]`` under any matrix: upsampled twice, sampled bilinearly, filtered and thinned out.

    taps: an orthogonal low-pass filter of 12 taps that sums to 1 (sym6), float32. It goes one way round up and the other
    way round down, which makes the two steps inverse to each other.
    """
    height, width = images.shape[2:]
    padded = torch.cat([images[..., :3].flip(3), images, images[..., -3:].flip(3)], 3)
    padded = torch.cat([padded[:, :, :3].flip(2), padded, padded[:, :, -3:].flip(2)], 2)
    fine = ops.upfirdn2d(padded, taps, up=2, padding=(0, -1, 0, -1), gain=4.0)  # [N, C, 2H, 2W]
    # The filter puts pixel k at 2k + lag, and takes it from there on the way down; five more samples on either side.
    lag = (taps.double() @ torch.arange(12.0, dtype=torch.float64, device=taps.device) - 5).to(matrix.dtype)
    x, y = (
        (torch.arange(-5, 2 * n + 5, dtype=matrix.dtype, device=matrix.device) - lag) / 2 - (n - 1) / 2
        for n in (width, height)
    )
    from_x, from_y = _places(matrix, x, y)
    grid = torch.stack(
        [
            (2 * (2 * (place + (n - 1) / 2) + lag) + 1) / (2 * n) - 1
            for place, n in ((from_x, width), (from_y, height))
        ],
        3,
    )
    moved = ops.grid_sample(fine, grid, padding_mode="reflection")
    return ops.upfirdn2d(moved, taps, down=2, flip_filter=True)
