# mypy: disable-error-code="no-untyped-def, name-defined, assignment, misc, var-annotated"
"""The fused kernel of filtered_lrelu in Triton, for separable filters and factors of 1, 2 and 4.

A program has a strip of some columns of some images, or channels. It goes down the rows. A window
of input rows, upsampled along x, stays in registers. So do the rows of the result, to which each
upsampled row is added. Along x their columns lie in several threads, so there they are multiplied
by the band matrix of the filter. The upsampled image is never in memory.

Columns are split into planes by their phase, so that all threads have the same taps.

As the product runs over all columns of a strip, a NaN spreads to its other columns.
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
from fastgan.ops.filtered_lrelu import reference
from fastgan.ops.upfirdn2d.strip_layout import Axis, relative, span

ITEMS = 16
"""Images, or channels, of a program: the fewest rows of a product of matrices."""

ROWS = tl.constexpr(4)
"""Rows of the upsampled image per step, whose codes share a byte."""

COLUMNS = 64
"""Columns of the upsampled image of a program."""

WARPS, PRECISION = 8, "tf32x3"
"""Warps of a program, and the kind of product: about as exact as float32."""

LONGEST_UP, LONGEST_DOWN = 8, 24
"""Most taps of a phase of upsampling, and of the filter of downsampling, that registers hold."""


@triton.jit
def _tap(f_ptr, k, there, TAPS: tl.constexpr, FLIP: tl.constexpr):
    """Return taps ``k`` of a filter, 0 where they aren't there; no filter is a tap of 1."""
    if f_ptr is None:
        return tl.where(there & (k == 0), 1.0, 0.0)
    else:
        return tl.load(f_ptr + (k if FLIP else (TAPS - 1) - k), there, 0.0)


@triton.jit
def _upsampled_row(
    x_ptr, up_ptr, row, height, width, pitch, inner, first, bias, items, gain,
    PHASES: tl.constexpr, PLANES: tl.constexpr, UP: tl.constexpr, SPAN: tl.constexpr,
    TAPS_UP: tl.constexpr, FLIP: tl.constexpr,
):  # fmt: skip
    """Return the planes of an input row with its bias, filtered along x; it is 0 outside."""
    there = items[:, None] & (row >= 0) & (row < height)
    at = x_ptr + tl.cast(row, tl.int64) * pitch
    # Outside, the bias leaves 0.
    outside = (-bias).to(x_ptr.dtype.element_ty)
    values = ()
    for s in tl.static_range(SPAN):
        inside = (first + s >= 0) & (first + s < width)
        value = tl.load(at + s * inner, there & inside[None, :], outside).to(gain.dtype)
        values = values + (value + bias,)
    planes = ()
    for p in tl.static_range(PLANES):
        total = tl.zeros_like(values[0])
        for j in tl.static_range(tl.constexpr(PHASES[p % UP][2])):
            h = _tap(up_ptr, PHASES[p % UP][1] + j * UP, True, TAPS_UP, FLIP).to(gain.dtype)
            total += h * values[p // UP + PHASES[p % UP][0] + j]
        planes = planes + (total * gain,)
    return planes


# One compilation serves all sizes; that of `inner` is 1 for contiguous images.
SIZES = (
    *("in_h", "in_w", "out_h", "out_w", "code_rows", "code_columns", "offset_x", "offset_y"),
    *("first_x", "first_y", "items", "tiles", "strips", "rows", "steps"),
)


@triton.jit(do_not_specialize=[*SIZES])
def strip_kernel(
    x_ptr, b_ptr, up_ptr, down_ptr, out_ptr, codes_ptr,
    gain: tl.float64, slope: tl.float64, clamp: tl.float64,
    in_h, in_w, out_h, out_w, code_rows, code_columns, offset_x, offset_y, first_x, first_y,
    inner, channels, items, tiles, strips, rows, steps,
    PHASES_X: tl.constexpr, PHASES_Y: tl.constexpr, SPAN_X: tl.constexpr, SPAN_Y: tl.constexpr,
    UP: tl.constexpr, DOWN: tl.constexpr, TAPS_UP: tl.constexpr, TAPS_DOWN: tl.constexpr,
    FLIP: tl.constexpr, OUTPUTS: tl.constexpr, READ: tl.constexpr, ITEMS: tl.constexpr,
    PLANES: tl.constexpr, LANES: tl.constexpr, STORED: tl.constexpr, ACC: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Compute ``rows`` rows of the result, of OUTPUTS columns.

    ``steps`` times, it makes four rows of the upsampled image. Column ``lane·PLANES + p`` is in
    plane p, where all columns have the same phase.
    """
    tile = tl.program_id(0) % tiles
    strip = tl.program_id(0) // tiles % strips
    item = tl.program_id(0) // tiles // strips * ITEMS + tl.arange(0, ITEMS)
    there = item < items
    image = (item // inner).to(tl.int64)
    channel = item % inner
    lane = tl.arange(0, LANES)
    first_column = tile * (OUTPUTS * DOWN)
    first_row = strip * (rows * DOWN)

    first = first_column // UP + lane * (PLANES // UP) + first_x
    pitch = tl.cast(in_w, tl.int64) * inner
    x_ptr += (image * in_h * pitch + channel)[:, None] + first.to(tl.int64)[None, :] * inner
    bias = tl.zeros((ITEMS, 1), ACC)
    if b_ptr is not None:
        bias = tl.load(b_ptr + item % channels, there, 0.0).to(ACC)[:, None]
    out_column = tl.arange(0, STORED)
    out_ptr += (image * out_h * out_w * inner + channel)[:, None]
    stored = (out_column < OUTPUTS) & (tile * OUTPUTS + out_column < out_w)
    bands = ()
    if TAPS_DOWN > 1:
        for p in tl.static_range(PLANES):
            behind = lane[:, None] * PLANES + p - out_column[None, :] * DOWN
            met = (behind >= 0) & (behind < TAPS_DOWN)
            bands = bands + (_tap(down_ptr, behind, met, TAPS_DOWN, FLIP).to(ACC),)

    between_h = (out_h - 1) * DOWN + TAPS_DOWN
    code_column = first_column + lane * PLANES + offset_x
    if codes_ptr is not None:
        codes_ptr += (image * code_rows * code_columns * inner + channel)[:, None]
        codes_ptr += code_column.to(tl.int64)[None, :] * inner
        code_pitch = tl.cast(code_columns, tl.int64) * inner
        if not READ:
            # Strips and tiles overlap. The first one that has a pixel writes its code.
            owned = code_columns if tile == tiles - 1 else first_column + OUTPUTS * DOWN
            code_end = between_h if strip == strips - 1 else first_row + rows * DOWN
    gain = tl.full((), gain, ACC)
    slope = tl.full((), slope, ACC)
    clamp = tl.full((), clamp, ACC)

    zero = tl.zeros((ITEMS, LANES), ACC)
    zeros = ()
    for _ in tl.static_range(PLANES):
        zeros = zeros + (zero,)
    y = first_row // UP + first_y
    window = (zeros,)
    for i in tl.static_range(SPAN_Y - 1):
        row = _upsampled_row(
            x_ptr, up_ptr, y + i, in_h, in_w, pitch, inner, first, bias, there, gain, PHASES_X,
            PLANES, UP, SPAN_X, TAPS_UP, FLIP,
        )  # fmt: skip
        window = window + (row,)
    y += SPAN_Y - 1
    # Rows of the result that aren't complete, the oldest one first.
    OPEN: tl.constexpr = (TAPS_DOWN + DOWN - 1) // DOWN
    results = ()
    for _ in tl.static_range(OPEN):
        results = results + (zeros,)

    for n in range(steps):
        at = first_row + n * ROWS
        made = ()
        for _ in tl.static_range(PLANES):
            made = made + (tl.zeros((ITEMS, LANES), tl.int32),)
        for r in tl.static_range(ROWS):
            if r % UP == 0:
                row = _upsampled_row(
                    x_ptr, up_ptr, y, in_h, in_w, pitch, inner, first, bias, there, gain, PHASES_X,
                    PLANES, UP, SPAN_X, TAPS_UP, FLIP,
                )  # fmt: skip
                window = window[1:] + (row,)
                y += 1
            if r % DOWN == 0:
                results = results[1:] + (zeros,)
            # Taps are loaded each time, as registers are scarce.
            taps = ()
            for j in tl.static_range(tl.constexpr(PHASES_Y[r % UP][2])):
                k = PHASES_Y[r % UP][1] + j * UP
                taps = taps + (_tap(up_ptr, k, True, TAPS_UP, FLIP).to(ACC),)
            place = at + r + offset_y
            planes = ()
            codes = ()
            for p in tl.static_range(PLANES):
                u = zero
                for j in tl.static_range(tl.constexpr(PHASES_Y[r % UP][2])):
                    u += taps[j] * window[PHASES_Y[r % UP][0] + j][p]
                if READ:
                    # Shifts round down for both signs.
                    found = (place >= 0) & ((place >> 2) < code_rows)
                    column = code_column + p
                    found = found & ((column >= 0) & (column < code_columns))[None, :]
                    code_at = codes_ptr + (place >> 2) * code_pitch + p * inner
                    code = tl.load(code_at, there[:, None] & found, 0xAA).to(tl.int32)
                    code = (code >> ((place & 3) * 2)) & 3
                    v = u * tl.where(code == 0, 1.0, tl.where(code == 1, slope, 0.0))
                    codes = codes + (code,)
                else:
                    v = tl.where(u < 0, u * slope, u)
                    over = (v > clamp) | (v < -clamp)
                    code = tl.where(over, 2, tl.where(u < 0, 1, 0))
                    codes = codes + (made[p] | tl.where(at + r < between_h, code << (2 * r), 0),)
                    v = tl.where(v > clamp, clamp, tl.where(v < -clamp, -clamp, v))
                planes = planes + (v,)
            made = codes
            sums = ()
            for o in tl.static_range(OPEN):
                total = results[o]
                if r % DOWN + (OPEN - 1 - o) * DOWN < TAPS_DOWN:
                    k = r % DOWN + (OPEN - 1 - o) * DOWN
                    g = _tap(down_ptr, k, True, TAPS_DOWN, FLIP).to(ACC)
                    total = ()
                    for p in tl.static_range(PLANES):
                        total = total + (results[o][p] + g * planes[p],)
                sums = sums + (total,)
            results = sums
            if r % DOWN == (TAPS_DOWN - 1) % DOWN:
                out_row = (at + r) // DOWN - (OPEN - 1)
                ready = (out_row >= strip * rows) & (
                    out_row < tl.minimum((strip + 1) * rows, out_h)
                )
                out_at = out_ptr + tl.cast(out_row, tl.int64) * out_w * inner
                if TAPS_DOWN > 1:
                    result = tl.zeros((ITEMS, STORED), ACC)
                    for p in tl.static_range(PLANES):
                        result = tl.dot(results[0][p], bands[p], result, input_precision=PRECISION)
                    column = tile * OUTPUTS + out_column
                    tl.store(
                        out_at + column.to(tl.int64)[None, :] * inner,
                        result.to(out_ptr.dtype.element_ty),
                        there[:, None] & stored[None, :] & ready,
                    )
                else:
                    # Without a filter the planes are columns.
                    for p in tl.static_range(PLANES):
                        column = tile * OUTPUTS + lane * PLANES + p
                        tl.store(
                            out_at + column.to(tl.int64)[None, :] * inner,
                            planes[p].to(out_ptr.dtype.element_ty),
                            there[:, None] & (column < out_w)[None, :] & ready,
                        )
        if not READ and codes_ptr is not None:
            for p in tl.static_range(PLANES):
                mine = there[:, None] & (code_column + p < owned)[None, :] & (at < code_end)
                tl.store(
                    codes_ptr + (at // ROWS) * code_pitch + p * inner, made[p].to(tl.uint8), mine
                )


def fits(x: Tensor, fu: Tensor | None, fd: Tensor | None, up: int, down: int) -> bool:
    """Return True if the fused kernel takes these filters and factors."""
    if x.dtype == torch.float64 or up not in (1, 2, 4) or down not in (1, 2, 4):
        return False
    if any(f is not None and f.ndim == 2 for f in (fu, fd)):
        return False
    taps_up, taps_down = reference.axis_taps(fu)[0], reference.axis_taps(fd)[0]
    return up <= taps_up <= LONGEST_UP * up and down <= taps_down <= LONGEST_DOWN


def run(
    x: Tensor, b: Tensor | None, fu: Tensor | None, fd: Tensor | None, out: Tensor, codes: Tensor,
    up: int, down: int, pad: Sequence[int], offset: Sequence[int], gain: float, slope: float,
    clamp: float | None, flip: bool, read: bool,
) -> None:  # fmt: skip
    """Run the kernel; images and ``codes`` have the layout of ``x``. Empty codes aren't written."""
    n, c, height, width = x.shape
    inner = c if memory_format(x) == torch.channels_last else 1
    size = out.shape[3], out.shape[2]
    taps_up, taps_down = reference.axis_taps(fu)[0], reference.axis_taps(fd)[0]
    between = reference.between(size, fd, down)
    (first_x, phases_x), (first_y, phases_y) = (
        relative(Axis(length, m, up, 1, p, taps_up).phases(), 1)
        for length, m, p in zip((width, height), between, pad)
    )
    planes = math.lcm(up, down)
    lanes, outputs = COLUMNS // planes, tile_outputs(up, down, taps_down)
    tiles = triton.cdiv(size[0], outputs)
    blocks = triton.cdiv(n * c, ITEMS)
    rows = strip_rows(size[1], tiles * blocks)
    strips = triton.cdiv(size[1], rows)
    steps = triton.cdiv((min(rows, size[1]) - 1) * down + taps_down, ROWS.value)
    if not fits_numbers(x, out, codes, between) or tiles * blocks * strips > 2**31 - 1:
        raise ValueError(
            f"filtered_lrelu: an image of shape {list(x.shape)} is too large for one launch; "
            "split it"
        )
    with on_device(x):
        strip_kernel[(tiles * blocks * strips,)](
            x, b, fu, fd, out, codes if codes.numel() else None,
            gain, slope, float("nan") if clamp is None else clamp,
            height, width, size[1], size[0], *(codes.shape[2:] if codes.numel() else (0, 0)),
            *offset, first_x, first_y, inner, c, n * c, tiles, strips, rows, steps,
            PHASES_X=phases_x, PHASES_Y=phases_y, SPAN_X=span(phases_x) + planes // up - 1,
            SPAN_Y=span(phases_y), UP=up, DOWN=down, TAPS_UP=taps_up, TAPS_DOWN=taps_down,
            FLIP=flip, OUTPUTS=outputs, READ=read, ITEMS=ITEMS, PLANES=planes, LANES=lanes,
            STORED=max(16, power_of_two(outputs)), ACC=ACCUMULATE[x.dtype], PRECISION=PRECISION,
            num_warps=WARPS,
        )  # fmt: skip


def tile_outputs(up: int, down: int, taps_down: int) -> int:
    """Return the columns of the result of a tile; the next one starts at a pixel of phase 0."""
    unit = max(1, up // down)
    return ((COLUMNS - taps_down) // down + 1) // unit * unit


def strip_rows(height: int, programs: int) -> int:
    """Return the rows of a strip: few until there are strips enough to fill a GPU, and whole bytes
    of codes."""
    strips = max(1, min(triton.cdiv(1024, programs), height // 32))
    return triton.cdiv(triton.cdiv(height, strips), ROWS.value) * ROWS.value


def fits_numbers(x: Tensor, out: Tensor, codes: Tensor, between: Sequence[int]) -> bool:
    """Return True if 32-bit numbers hold the items, rows and columns of all images."""
    lengths = [x.shape[0] * x.shape[1], *x.shape[2:], *out.shape[2:], *codes.shape[2:], *between]
    return max(lengths) < 2**30
