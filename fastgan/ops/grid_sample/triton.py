# mypy: disable-error-code="no-untyped-def"
"""grid_sample in Triton: one kernel that reads pixels at points, one that adds to them.

A program has a block of an image's points and walks through blocks of channels: one at a time of
contiguous images, up to 16 of channels_last ones. Sums into pixels are whole numbers of a unit,
added by atomic additions of integers, which are exact in any order.
csrc/grid_sample/fixed_point.cuh explains the choice of the unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import memory_format
from fastgan.ops._triton import ACCUMULATE, on_device, power_of_two

PADDING = {"zeros": 0, "border": 1, "reflection": 2}
BLOCK = 256
"""Points of a program with one channel."""


@triton.jit
def _place(
    coordinate,
    size,
    NEAREST: tl.constexpr,
    PADDING: tl.constexpr,
    CORNERS: tl.constexpr,
    ACC: tl.constexpr,
):
    """Find the two pixels beside each point along an axis.

    Returns:
        The first pixel, masks of points where it and the next one count, and the
        distance from it in pixels with its slope.
    """
    pixels = tl.full((), size, ACC)
    if CORNERS:
        scale = (pixels - 1.0) * 0.5
        u = (coordinate + 1.0) * scale
        low = 0.0
        period = 2.0 * (pixels - 1.0)
    else:
        scale = pixels * 0.5
        u = (coordinate + 1.0) * scale - 0.5
        low = -0.5
        period = 2.0 * pixels
    slope = tl.zeros(coordinate.shape, ACC) + scale
    if PADDING == 2:
        before = u < low
        distance = tl.where(before, low - u, u - low)
        # The period of an image of one pixel with aligned corners is 0. The edge stops that below.
        rest = distance - period * tl.floor(distance / tl.where(period == 0, 1.0, period))
        back = 2.0 * rest > period
        u = tl.where(back, period - rest, rest) + low
        slope = tl.where(before != back, -slope, slope)
    if PADDING != 0:
        between = (u > 0) & (u < pixels - 1.0)
        slope = tl.where(between, slope, 0.0)
        u = tl.where(between, u, tl.where(u >= pixels - 1.0, pixels - 1.0, 0.0))
    near = (u >= -1.0) & (u < pixels)
    u = tl.where(near, u, 0.0)
    below = tl.floor(u)
    t = u - below
    if NEAREST:
        half = below * 0.5
        up = (t > 0.5) | ((t == 0.5) & (half != tl.floor(half)))
        below = tl.where(up, below + 1.0, below)
        has_first = near & (below >= 0.0) & (below < pixels)
        # No point has a next one.
        has_next = near & (below < -1.0)
        t = t * 0.0
        slope = slope * 0.0
    else:
        has_first = near & (below >= 0.0)
        has_next = near & (below + 1.0 < pixels)
    return below.to(tl.int32), has_first, has_next, t, slope


@triton.jit
def _spots(
    grid_ptr, b_ptr, program, blocks, points, width, height, NEAREST: tl.constexpr,
    PADDING: tl.constexpr, CORNERS: tl.constexpr, POINTS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Return the image and its points in this block.

    A point has a number, a mask of those that exist, its first pixel and masks of the pixels around
    it that count. Along both axes it has the distance from that pixel, the slope and b.
    """
    n = (program // blocks).to(tl.int64)
    point = (program % blocks) * POINTS + tl.arange(0, POINTS)
    there = point < points
    at = 2 * (n * points + point)
    x, x0, x1, tx, slope_x = _place(
        tl.load(grid_ptr + at, there, 0.0), width, NEAREST, PADDING, CORNERS, ACC
    )
    y, y0, y1, ty, slope_y = _place(
        tl.load(grid_ptr + at + 1, there, 0.0), height, NEAREST, PADDING, CORNERS, ACC
    )
    first = y.to(tl.int64) * width + x
    inside = (there & y0 & x0, there & y0 & x1, there & y1 & x0, there & y1 & x1)
    if b_ptr is None:
        bx = tl.zeros((POINTS,), ACC)
        by = bx
    else:
        bx = tl.load(b_ptr + at, there, 0.0)
        by = tl.load(b_ptr + at + 1, there, 0.0)
    return n, point, there, first, inside, (tx, ty), (slope_x, slope_y), (bx, by)


@triton.jit
def _jet(ptr, at, there, inside, t, slope, row, step, ACC: tl.constexpr):
    """Return the weighted sum of four pixels, and its derivatives in x, in y and in both.

    Each is ``[points, channels]``.
    """
    v00 = tl.load(ptr + at, there & inside[0][:, None], 0.0).to(ACC)
    v01 = tl.load(ptr + at + step, there & inside[1][:, None], 0.0).to(ACC)
    v10 = tl.load(ptr + at + row, there & inside[2][:, None], 0.0).to(ACC)
    v11 = tl.load(ptr + at + row + step, there & inside[3][:, None], 0.0).to(ACC)
    tx = t[0][:, None]
    ty = t[1][:, None]
    sx = slope[0][:, None]
    sy = slope[1][:, None]
    upper = (1.0 - tx) * v00 + tx * v01
    lower = (1.0 - tx) * v10 + tx * v11
    upper_x = v01 - v00
    lower_x = v11 - v10
    value = (1.0 - ty) * upper + ty * lower
    return (
        value,
        sx * ((1.0 - ty) * upper_x + ty * lower_x),
        sy * (lower - upper),
        sx * sy * (lower_x - upper_x),
    )


@triton.jit
def points_kernel(
    p_ptr, q_ptr, v_ptr, grid_ptr, b_ptr, out_ptr, dgrid_ptr, channels, points, pixels, width,
    height, blocks, image_step, point_step, step, NEAREST: tl.constexpr, PADDING: tl.constexpr,
    CORNERS: tl.constexpr, POINTS: tl.constexpr, CHANNELS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Run the sweep over points of csrc/grid_sample/problem.h.

    Tensors that are absent or not wanted are None.
    """
    n, point, inside_block, first, inside, t, slope, b = _spots(
        grid_ptr, b_ptr, tl.program_id(0), blocks, points, width, height, NEAREST, PADDING, CORNERS,
        POINTS, ACC
    )  # fmt: skip
    bx = b[0][:, None]
    by = b[1][:, None]
    sum_x = tl.zeros((POINTS,), ACC)
    sum_y = sum_x
    for c0 in range(0, channels, CHANNELS):
        c = (c0 + tl.arange(0, CHANNELS))[None, :]
        there = inside_block[:, None] & (c < channels)
        corner = n * channels * pixels + first[:, None] * step + c.to(tl.int64) * image_step
        at = (
            n * channels * points + point.to(tl.int64)[:, None] * step + c.to(tl.int64) * point_step
        )
        value = tl.zeros((POINTS, CHANNELS), ACC)
        along_x = value
        along_y = value
        if p_ptr is not None:
            value, along_x, along_y, _ = _jet(
                p_ptr, corner, there, inside, t, slope, width * step, step, ACC
            )
        if q_ptr is not None:
            _, x, y, xy = _jet(q_ptr, corner, there, inside, t, slope, width * step, step, ACC)
            value += bx * x + by * y
            along_x += by * xy
            along_y += bx * xy
        if out_ptr is not None:
            tl.store(out_ptr + at, value.to(out_ptr.dtype.element_ty), there)
        if dgrid_ptr is not None:
            v = tl.load(v_ptr + at, there, 0.0).to(ACC)
            sum_x += tl.sum(v * along_x, 1)
            sum_y += tl.sum(v * along_y, 1)
    if dgrid_ptr is not None:
        to = dgrid_ptr + 2 * (n * points + point)
        tl.store(to, sum_x, inside_block)
        tl.store(to + 1, sum_y, inside_block)


@triton.jit
def bound_kernel(
    v_ptr, grid_ptr, b_ptr, bound_ptr, channels, points, pixels, width, height, blocks, image_step,
    point_step, step, NEAREST: tl.constexpr, PADDING: tl.constexpr, CORNERS: tl.constexpr,
    POINTS: tl.constexpr, CHANNELS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Write the largest magnitude that each point may add to a pixel.

    It is infinity for NaN, and 0 for a point that adds nothing.
    """
    n, point, inside_block, _, inside, _, slope, b = _spots(
        grid_ptr, b_ptr, tl.program_id(0), blocks, points, width, height, NEAREST, PADDING, CORNERS,
        POINTS, ACC
    )  # fmt: skip
    counts = inside[0] | inside[1] | inside[2] | inside[3]
    along = tl.zeros((POINTS,), ACC) + 1.0
    if b_ptr is not None:
        along = tl.abs(b[0] * slope[0]) + tl.abs(b[1] * slope[1])
    largest = tl.zeros((POINTS, CHANNELS), ACC)
    for c0 in range(0, channels, CHANNELS):
        c = (c0 + tl.arange(0, CHANNELS))[None, :]
        at = (
            n * channels * points + point.to(tl.int64)[:, None] * step + c.to(tl.int64) * point_step
        )
        v = (
            tl.abs(tl.load(v_ptr + at, counts[:, None] & (c < channels), 0.0).to(ACC))
            * along[:, None]
        )
        largest = tl.maximum(largest, tl.where(v == v, v, float("inf")))
    tl.store(bound_ptr + n * points + point, tl.max(largest, 1), inside_block)


@triton.jit
def _add(units_ptr, rest_ptr, at, value, there, unit, rest_per_unit):
    scaled = value * unit
    whole = tl.floor(scaled + 0.5)
    tl.atomic_add(units_ptr + at, whole.to(tl.int64), there, sem="relaxed")
    if rest_ptr is not None:
        part = tl.floor((scaled - whole) * rest_per_unit + 0.5)
        tl.atomic_add(rest_ptr + at, part.to(tl.int64), there, sem="relaxed")


@triton.jit
def add_kernel(
    v_ptr, grid_ptr, b_ptr, unit_ptr, units_ptr, rest_ptr, rest_per_unit: tl.float64, channels,
    points, pixels, width, height, blocks, image_step, point_step, step, NEAREST: tl.constexpr,
    PADDING: tl.constexpr, CORNERS: tl.constexpr, POINTS: tl.constexpr, CHANNELS: tl.constexpr,
    ACC: tl.constexpr,
):  # fmt: skip
    """Run the sweep into pixels: add each point's value times ``unit`` of its image, rounded.

    An image has a unit of 0 if it adds nothing, or values that aren't finite.
    """
    n, point, inside_block, first, inside, t, slope, b = _spots(
        grid_ptr, b_ptr, tl.program_id(0), blocks, points, width, height, NEAREST, PADDING, CORNERS,
        POINTS, ACC
    )  # fmt: skip
    unit = tl.zeros((POINTS, 1), ACC) + tl.load(unit_ptr + n)
    tx, ty = t[0], t[1]
    left, upper = 1.0 - tx, 1.0 - ty
    if b_ptr is None:
        s00, s01, s10, s11 = left * upper, tx * upper, left * ty, tx * ty
    else:
        ax, ay = b[0] * slope[0], b[1] * slope[1]
        s00, s01 = -ax * upper - ay * left, ax * upper - ay * tx
        s10, s11 = ay * left - ax * ty, ax * ty + ay * tx
    for c0 in range(0, channels, CHANNELS):
        c = (c0 + tl.arange(0, CHANNELS))[None, :]
        there = inside_block[:, None] & (c < channels) & (unit > 0)
        corner = n * channels * pixels + first[:, None] * step + c.to(tl.int64) * image_step
        at = (
            n * channels * points + point.to(tl.int64)[:, None] * step + c.to(tl.int64) * point_step
        )
        v = tl.load(v_ptr + at, there, 0.0).to(ACC)
        _add(
            units_ptr,
            rest_ptr,
            corner,
            s00[:, None] * v,
            there & inside[0][:, None],
            unit,
            rest_per_unit,
        )
        _add(
            units_ptr,
            rest_ptr,
            corner + step,
            s01[:, None] * v,
            there & inside[1][:, None],
            unit,
            rest_per_unit,
        )
        row = corner + width * step
        _add(
            units_ptr,
            rest_ptr,
            row,
            s10[:, None] * v,
            there & inside[2][:, None],
            unit,
            rest_per_unit,
        )
        _add(
            units_ptr,
            rest_ptr,
            row + step,
            s11[:, None] * v,
            there & inside[3][:, None],
            unit,
            rest_per_unit,
        )


# ---------------------------------------------------------------------------------- launches


class _Sweep:
    """Arguments of a launch over the points of ``grid``, in the layout of ``like``."""

    def __init__(
        self,
        like: Tensor,
        grid: Tensor,
        size: Sequence[int],
        mode: str,
        padding_mode: str,
        align_corners: bool,
    ) -> None:
        n, self.channels = like.shape[:2]
        self.layout = memory_format(like)
        self.size = list(size)
        self.points, self.pixels = grid.shape[1] * grid.shape[2], size[0] * size[1]
        last = self.layout == torch.channels_last
        block_channels = min(power_of_two(self.channels), 16) if last else 1
        block = min(power_of_two(self.points), BLOCK // block_channels)
        blocks = triton.cdiv(self.points, block)
        self.programs = n * blocks
        if max(self.programs, self.points + block) > 2**31 - 1:
            raise ValueError(
                f"grid_sample: a result for images of shape {list(like.shape)} is too large for "
                "one launch; split it"
            )
        steps = (1, 1, self.channels) if last else (self.pixels, self.points, 1)
        self.numbers = (self.channels, self.points, self.pixels, size[1], size[0], blocks, *steps)
        self.settings = {
            "NEAREST": mode == "nearest", "PADDING": PADDING[padding_mode],
            "CORNERS": align_corners,
            "POINTS": block, "CHANNELS": block_channels, "ACC": ACCUMULATE[like.dtype],
        }  # fmt: skip

    def images(self, like: Tensor, size: Sequence[int]) -> Tensor:
        shape = (*like.shape[:2], *size)
        return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=self.layout)

    def in_memory(self, t: Tensor | None) -> Tensor | None:
        return None if t is None else t.contiguous(memory_format=self.layout)


def _over_points(
    sweep: _Sweep, grid: Tensor, *, p: Tensor | None = None, q: Tensor | None = None,
    v: Tensor | None = None, b: Tensor | None = None, out: Tensor | None = None,
    dgrid: Tensor | None = None,
) -> None:  # fmt: skip
    if sweep.programs and (out is not None or dgrid is not None):
        with on_device(grid):
            points_kernel[(sweep.programs,)](
                p, q, v, grid, b, out, dgrid, *sweep.numbers, **sweep.settings
            )


def _into_pixels(sweep: _Sweep, v: Tensor, grid: Tensor, b: Tensor | None) -> Tensor:
    """Return ``Sᵀ·v``, or with ``b`` its derivative along it.

    An image that adds a value which isn't finite is NaN throughout.
    """
    image = sweep.images(v, sweep.size)
    if not image.numel() or not v.numel():
        return image.zero_()
    twice = v.dtype == torch.float64
    bounds = torch.empty(grid.shape[:3], dtype=grid.dtype, device=grid.device)
    with on_device(v):
        bound_kernel[(sweep.programs,)](v, grid, b, bounds, *sweep.numbers, **sweep.settings)
    bound = bounds.amax((1, 2))
    finite = bound.isfinite()
    exponent = torch.frexp(torch.where(finite, bound, 0.0))[1].clamp(min=-900 if twice else -80)
    bits = min(62 - math.ceil(math.log2(sweep.points)), 62 if twice else 44)
    unit = torch.ldexp(torch.ones_like(bound), bits - exponent)
    units, rest = (
        torch.zeros_like(image, dtype=torch.int64) if k <= twice else None for k in (0, 1)
    )
    with on_device(v):
        add_kernel[(sweep.programs,)](
            v, grid, b, torch.where(finite & (bound > 0), unit, 0.0), units, rest, 2.0**bits,
            *sweep.numbers, **sweep.settings,
        )  # fmt: skip
    assert units is not None
    total = units.to(bound.dtype)
    if rest is not None:
        total += rest.to(bound.dtype) * 2.0**-bits
    value = torch.where(finite, 1 / unit, torch.nan)[:, None, None, None]
    return image.copy_(total * value)


def grid_sample(
    x: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool
) -> Tensor:
    sweep = _Sweep(x, grid, x.shape[2:], mode, padding_mode, align_corners)
    y = sweep.images(x, grid.shape[1:3])
    if y.numel():
        _over_points(sweep, grid.contiguous(), p=sweep.in_memory(x), out=y)
    return y


def grid_sample_backward(
    dy: Tensor, x: Tensor | None, grid: Tensor, size: Sequence[int], mode: str, padding_mode: str,
    align_corners: bool, need_dx: bool, need_dgrid: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    sweep = _Sweep(dy, grid, size, mode, padding_mode, align_corners)
    grid = grid.contiguous()
    dgrid = torch.empty_like(grid) if need_dgrid else None
    v = sweep.in_memory(dy)
    assert v is not None
    _over_points(sweep, grid, p=sweep.in_memory(x) if need_dgrid else None, v=v, dgrid=dgrid)
    dx = _into_pixels(sweep, v, grid, None) if need_dx else dy.new_empty(0)
    return dx, grid.new_empty(0) if dgrid is None else dgrid


def grid_sample_double_backward(
    ddx: Tensor | None, ddgrid: Tensor | None, dy: Tensor, x: Tensor | None, grid: Tensor,
    size: Sequence[int], mode: str, padding_mode: str, align_corners: bool, need_ddy: bool,
    need_dx: bool, need_dgrid: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    sweep = _Sweep(dy, grid, size, mode, padding_mode, align_corners)
    grid = grid.contiguous()
    b = None if ddgrid is None else ddgrid.contiguous()
    ddy = sweep.images(dy, grid.shape[1:3]) if need_ddy else None
    dgrid = torch.empty_like(grid) if need_dgrid else None
    v = sweep.in_memory(dy)
    assert v is not None
    q = None if b is None else sweep.in_memory(x)
    _over_points(sweep, grid, p=sweep.in_memory(ddx), q=q, v=v, b=b, out=ddy, dgrid=dgrid)
    dx = _into_pixels(sweep, v, grid, b) if need_dx else dy.new_empty(0)
    return (
        dy.new_empty(0) if ddy is None else ddy,
        dx,
        grid.new_empty(0) if dgrid is None else dgrid,
    )
