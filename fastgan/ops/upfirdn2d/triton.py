# mypy: disable-error-code="no-untyped-def, name-defined, assignment"
"""upfirdn2d in Triton: a strip kernel for short filters, a direct one for everything else.

Memory is ``[outer][y][x][inner]``: ``inner`` is 1 for contiguous images and C for channels_last
ones. An axis is a bank of small filters (``strip_layout.Phase``), so that no inserted zero is
multiplied.

The strip kernel gives each thread a few neighbouring columns, or a few channels of one column, and
walks down the rows. It keeps the last rows in registers. For a separable filter they are filtered
horizontally, so that an output costs ``taps_x + taps_y`` products. Loads are aligned vectors for
any padding; lanes that are columns are separated in registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import image_like, memory_format
from fastgan.ops._triton import ACCUMULATE, SUMS, join_lanes, on_device, power_of_two, split_lanes
from fastgan.ops.upfirdn2d import reference
from fastgan.ops.upfirdn2d.epilogue import NOTHING, act_of, parameter
from fastgan.ops.upfirdn2d.strip_layout import Axis, Layout, choose_layout, relative, span

# -------------------------------------------------------------------------- the strip kernel


@triton.jit
def _weights(f_ptr, f_start, f_step, COUNT: tl.constexpr, ACC: tl.constexpr):
    weights = ()
    for k in tl.static_range(COUNT):
        if f_ptr is None:
            weights = weights + (tl.full((), 1.0, ACC),)
        else:
            weights = weights + (tl.load(f_ptr + f_start + f_step * k).to(ACC),)
    return weights


@triton.jit
def _load_row(
    x_ptr, offsets, inside, there,
    ALONG_X: tl.constexpr, VECTOR: tl.constexpr, BLOCK: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Load neighbouring columns of a row, zero outside the image."""
    found = ()
    for c in tl.static_range(len(inside)):
        value = tl.load(x_ptr + offsets[c], inside[c] & there, 0.0).to(ACC)
        found = found + (split_lanes(value, BLOCK, VECTOR) if ALONG_X else (value,))
    return found


@triton.jit
def _filter_row(
    zero,
    row,
    weights,
    PHASES: tl.constexpr,
    UP: tl.constexpr,
    ADVANCE: tl.constexpr,
    GROUP: tl.constexpr,
):
    found = ()
    for g in tl.static_range(GROUP):
        for r in tl.static_range(len(PHASES)):
            total = zero
            for j in tl.static_range(tl.constexpr(PHASES[r][2])):
                total += weights[PHASES[r][1] + j * UP] * row[g * ADVANCE + PHASES[r][0] + j]
            found = found + (total,)
    return found


@triton.jit
def _filter_window(
    zero, window, weights, r: tl.constexpr, PHASES_X: tl.constexpr, PHASES_Y: tl.constexpr,
    UP_X: tl.constexpr, UP_Y: tl.constexpr, ADVANCE_X: tl.constexpr, TAPS_X: tl.constexpr,
    GROUP: tl.constexpr, SEPARABLE: tl.constexpr,
):  # fmt: skip
    """Return the row of output of phase ``r``."""
    found = ()
    for g in tl.static_range(GROUP):
        for p in tl.static_range(len(PHASES_X)):
            total = zero
            for i in tl.static_range(tl.constexpr(PHASES_Y[r][2])):
                if SEPARABLE:
                    total += (
                        weights[PHASES_Y[r][1] + i * UP_Y]
                        * window[PHASES_Y[r][0] + i][g * len(PHASES_X) + p]
                    )
                else:
                    for j in tl.static_range(tl.constexpr(PHASES_X[p][2])):
                        total += (
                            weights[
                                (PHASES_Y[r][1] + i * UP_Y) * TAPS_X + PHASES_X[p][1] + j * UP_X
                            ]
                            * window[PHASES_Y[r][0] + i][g * ADVANCE_X + PHASES_X[p][0] + j]
                        )
            found = found + (total,)
    return found


# One compilation serves all sizes: VECTOR and STORE tell the alignment of accesses. The kernels
# declare gain as float64, since floats arrive as float32 otherwise.
SIZES = (
    "in_h",
    "in_w",
    "out_h",
    "out_w",
    "inner",
    "items",
    "groups",
    "first_x",
    "first_y",
    "rows",
    "strips",
    "channels",
    "noise_step",
)


@triton.jit(do_not_specialize=[*SIZES, "f_start", "f_step"])
def strip_kernel(
    x_ptr, f_ptr, out_ptr, gain: tl.float64,
    in_h, in_w, out_h, out_w, inner, items, groups, first_x, first_y, rows, strips, f_start, f_step,
    filtered_ptr, scale_ptr, noise_ptr, b_ptr, channels, noise_step,
    alpha: tl.float64, act_gain: tl.float64, clamp: tl.float64, ACT: tl.constexpr,
    PHASES_X: tl.constexpr, PHASES_Y: tl.constexpr, UP_X: tl.constexpr, UP_Y: tl.constexpr,
    ADVANCE_X: tl.constexpr, ADVANCE_Y: tl.constexpr, TAPS_X: tl.constexpr, TAPS_Y: tl.constexpr,
    SPAN_X: tl.constexpr, SPAN_Y: tl.constexpr, SEPARABLE: tl.constexpr,
    ALONG_X: tl.constexpr, GROUP: tl.constexpr, VECTOR: tl.constexpr, STORE: tl.constexpr,
    BLOCK: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Filter a strip, which is ``rows`` periods of rows.

    An item is GROUP periods of columns. With ``ALONG_X``, in_w counts vectors of VECTOR columns and
    out_w vectors of STORE. Else the item has VECTOR channels, and ``inner`` counts such vectors.
    """
    WIDTH: tl.constexpr = GROUP * len(PHASES_X)
    # Rows that a step adds to the window, and steps that only fill it.
    NEW: tl.constexpr = ADVANCE_Y if ADVANCE_Y < SPAN_Y else SPAN_Y
    WARM_UP: tl.constexpr = (SPAN_Y - 1) // ADVANCE_Y

    item = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = item < items
    lane = tl.arange(0, VECTOR)[None, :]
    if ALONG_X:
        group = item % groups
        place = item // groups
        column = group * (GROUP * ADVANCE_X // VECTOR) + first_x
        out_column = group * WIDTH
        pitch = VECTOR
        x_ptr += column[:, None] * VECTOR + lane
        lane = tl.arange(0, WIDTH)[None, :]
        out_at = (out_column[:, None] + lane).to(tl.int64)
        inside_out = there[:, None] & (out_column[:, None] + lane < out_w * STORE)
        in_pitch = in_w.to(tl.int64) * VECTOR
        out_pitch = out_w.to(tl.int64) * STORE
    else:
        channel = (item % inner)[:, None] * VECTOR + lane
        group = item // inner % groups
        place = item // inner // groups
        column = group * (GROUP * ADVANCE_X) + first_x
        out_column = group * WIDTH
        pitch = inner * VECTOR
        x_ptr += column.to(tl.int64)[:, None] * pitch + channel
        out_at = out_column.to(tl.int64)[:, None] * pitch + channel
        in_pitch = in_w.to(tl.int64) * pitch
        out_pitch = out_w.to(tl.int64) * pitch
    inside = ()
    offsets = ()
    for c in tl.static_range((SPAN_X + VECTOR - 1) // VECTOR if ALONG_X else SPAN_X):
        inside = inside + ((there & (column + c >= 0) & (column + c < in_w))[:, None],)
        offsets = offsets + (pitch * c,)
    q = place % strips * rows - WARM_UP
    y = q * ADVANCE_Y + (first_y + SPAN_Y - NEW)
    out_y = q * len(PHASES_Y)
    image = (place // strips).to(tl.int64)
    x_ptr += ((image * in_h + y) * in_pitch)[:, None]
    out_at += ((image * out_h + out_y) * out_pitch)[:, None]
    if ACT is not None:
        # An image has its channels as planes, or side by side.
        planes = tl.cast(channels, tl.int64) // inner // (1 if ALONG_X else VECTOR)
        batch = image // planes
        plane = (image % planes)[:, None]
        channel = plane if ALONG_X else plane + channel
        scale_at = (batch * channels)[:, None] + channel
        scale = parameter(scale_ptr, scale_at, there[:, None], 1.0, ACC)
        b = parameter(b_ptr, channel, there[:, None], 0.0, ACC)
        noise_at = (batch * noise_step)[:, None]
    alpha = tl.full((), alpha, ACC)
    act_gain = tl.full((), act_gain, ACC)
    clamp = tl.full((), clamp, ACC)

    gain = tl.full((), gain, ACC)
    weights = _weights(f_ptr, f_start, f_step, TAPS_Y if SEPARABLE else TAPS_X * TAPS_Y, ACC)
    zero = tl.zeros((BLOCK,) if ALONG_X else (BLOCK, VECTOR), ACC)
    row = ()
    for _ in tl.static_range(WIDTH if SEPARABLE else SPAN_X):
        row = row + (zero,)
    window = ()
    for _ in tl.static_range(SPAN_Y):
        window = window + (row,)

    for step in range(WARM_UP + rows):
        for n in tl.static_range(NEW):
            within = (y + n >= 0) & (y + n < in_h)
            row = _load_row(
                x_ptr + in_pitch * n, offsets, inside, within[:, None], ALONG_X, VECTOR, BLOCK, ACC
            )
            if SEPARABLE:
                row = _filter_row(zero, row, weights, PHASES_X, UP_X, ADVANCE_X, GROUP)
            else:
                row = row[:SPAN_X]
            window = window[1:] + (row,)
        for r in tl.static_range(len(PHASES_Y)):
            out = _filter_window(
                zero,
                window,
                weights,
                r,
                PHASES_X,
                PHASES_Y,
                UP_X,
                UP_Y,
                ADVANCE_X,
                TAPS_X,
                GROUP,
                SEPARABLE,
            )
            at = out_at + out_pitch * r
            made = (step >= WARM_UP) & (out_y + r < out_h)
            if ALONG_X:
                whole = join_lanes(out, BLOCK, WIDTH) * gain
                wanted = inside_out & made[:, None]
                if ACT is not None:
                    if filtered_ptr is not None:
                        tl.store(filtered_ptr + at, whole.to(filtered_ptr.dtype.element_ty), wanted)
                    pixel = ((out_y + r) * (out_w * STORE) + out_column)[:, None] + lane
                    noise = parameter(noise_ptr, noise_at + pixel, wanted, 0.0, ACC)
                    whole = act_of(whole * scale + noise + b, alpha, act_gain, clamp, ACT)
                tl.store(out_ptr + at, whole.to(out_ptr.dtype.element_ty), wanted)
            else:
                for c in tl.static_range(WIDTH):
                    value = out[c] * gain
                    wanted = (there & made & (out_column + c < out_w))[:, None]
                    if ACT is not None:
                        if filtered_ptr is not None:
                            tl.store(
                                filtered_ptr + at + pitch * c,
                                value.to(filtered_ptr.dtype.element_ty),
                                wanted,
                            )
                        pixel = ((out_y + r) * out_w + out_column + c)[:, None]
                        noise = parameter(noise_ptr, noise_at + pixel, wanted, 0.0, ACC)
                        value = act_of(value * scale + noise + b, alpha, act_gain, clamp, ACT)
                    tl.store(out_ptr + at + pitch * c, value.to(out_ptr.dtype.element_ty), wanted)
        x_ptr += ADVANCE_Y * in_pitch
        out_at += len(PHASES_Y) * out_pitch
        y += ADVANCE_Y
        out_y += len(PHASES_Y)


BLOCK = 128
"""Items of a program, one per thread."""

TILE = 1024
"""Outputs of a program of the direct kernel."""


# ------------------------------------------------------------------------- the direct kernel


@triton.jit
def direct_kernel(
    x_ptr, f_ptr, out_ptr, gain: tl.float64,
    in_h, in_w, out_h, out_w, inner, rows, tiles,
    up_x, up_y, down_x, down_y, pad_x, pad_y, taps_x, taps_y, f_start, f_step,
    filtered_ptr, scale_ptr, noise_ptr, b_ptr, channels, noise_step,
    alpha: tl.float64, act_gain: tl.float64, clamp: tl.float64, ACT: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Filter a tile of ``[outer·y, x·inner]`` by a loop over the taps, for any factors."""
    tile = tl.program_id(0)
    row = (tile // tiles) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tile % tiles) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    channel = column % inner
    start_x = column // inner * down_x - pad_x
    start_y = row % out_h * down_y - pad_y
    # The first tap that meets a pixel, and that pixel, (start + tap) / up, for both signs of start.
    tap_x = (up_x - start_x % up_x) % up_x
    tap_y = (up_y - start_y % up_y) % up_y
    first_x = (start_x + tap_x) // up_x
    first_y = (start_y + tap_y) // up_y
    x_ptr += ((row // out_h).to(tl.int64) * in_h + first_y)[:, None] * in_w * inner
    x_ptr += first_x.to(tl.int64)[None, :] * inner + channel[None, :]
    f_ptr += f_start + f_step * (tap_y[:, None] * taps_x + tap_x[None, :])

    total = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), ACC)
    for i in range(tl.cdiv(taps_y, up_y)):
        y = first_y + i
        inside_y = (row < rows) & (y >= 0) & (y < in_h) & (tap_y + i * up_y < taps_y)
        for j in range(tl.cdiv(taps_x, up_x)):
            x = first_x + j
            inside_x = (x >= 0) & (x < in_w) & (tap_x + j * up_x < taps_x)
            inside = inside_y[:, None] & inside_x[None, :]
            value = tl.load(x_ptr + j * inner, inside, 0.0).to(ACC)
            total += value * tl.load(f_ptr + f_step * (j * up_x), inside, 0.0).to(ACC)
        # in_w.to would fail on a width of 1, which is a constant.
        x_ptr += tl.cast(in_w, tl.int64) * inner
        f_ptr += f_step * (up_y * taps_x)
    inside = (row < rows)[:, None] & (column < out_w * inner)[None, :]
    at = row.to(tl.int64)[:, None] * out_w * inner + column[None, :]
    total = total * tl.full((), gain, ACC)
    if ACT is not None:
        if filtered_ptr is not None:
            tl.store(filtered_ptr + at, total.to(filtered_ptr.dtype.element_ty), inside)
        planes = tl.cast(channels, tl.int64) // inner
        image = row // out_h
        batch = (image // planes)[:, None]
        channel = (image % planes)[:, None] + channel[None, :]
        scale = parameter(scale_ptr, batch * channels + channel, inside, 1.0, ACC)
        b = parameter(b_ptr, channel, inside, 0.0, ACC)
        pixel = (row % out_h)[:, None] * out_w + (column // inner)[None, :]
        noise = parameter(noise_ptr, batch * noise_step + pixel, inside, 0.0, ACC)
        total = act_of(
            total * scale + noise + b, tl.full((), alpha, ACC), tl.full((), act_gain, ACC),
            tl.full((), clamp, ACC), ACT,
        )  # fmt: skip
    tl.store(out_ptr + at, total.to(out_ptr.dtype.element_ty), inside)


# ---------------------------------------------------------------------------------- launches


def _too_large(x: Tensor) -> ValueError:
    return ValueError(
        f"upfirdn2d: an image of shape {list(x.shape)}, with these factors and this padding, is "
        "too large for one launch; "
        "split it"
    )


def strip_rows(columns: int, quotients: int, span: int, advance: int) -> int:
    """Return the periods of rows per strip.

    Strips are short until there are enough to fill a GPU. Longer ones read fewer rows twice.
    """
    shortest = max(2, (span - 1) // advance)
    rows = min(max(columns * quotients >> 17, shortest), 32)
    return triton.cdiv(quotients, triton.cdiv(quotients, rows))


def _strips(
    x: Tensor, f: Tensor | None, out: Tensor, axes: tuple[Axis, ...], outer: int, inner: int,
    layout: Layout, flip: bool, gain: float, separable: bool, after: dict[str, Any],
) -> None:  # fmt: skip
    axis_x, axis_y = axes
    first_y, phases_y = relative(axis_y.phases(), 1)
    span_y = span(phases_y)
    groups = triton.cdiv(axis_x.out, layout.group * axis_x.period)
    lanes = 1 if layout.along_x else layout.vector
    in_w = axis_x.size // (layout.vector if layout.along_x else 1)
    out_w = axis_x.out // (layout.store if layout.along_x else 1)
    columns = outer * groups * (inner // lanes)
    quotients = triton.cdiv(axis_y.out, axis_y.period)
    rows = strip_rows(columns, quotients, span_y, axis_y.advance)
    strips = triton.cdiv(quotients, rows)
    items = columns * strips
    if items > 2**31 - 1 - BLOCK:
        raise _too_large(x)
    taps = axis_y.taps if separable else axis_x.taps * axis_y.taps
    with on_device(x):
        strip_kernel[(triton.cdiv(items, BLOCK),)](
            x, f, out, gain, axis_y.size, in_w, axis_y.out, out_w, inner // lanes, items, groups,
            layout.first_x, first_y, rows, strips, *((0, 1) if flip else (taps - 1, -1)),
            PHASES_X=layout.phases_x, PHASES_Y=phases_y, UP_X=axis_x.up, UP_Y=axis_y.up,
            ADVANCE_X=axis_x.advance, ADVANCE_Y=axis_y.advance, TAPS_X=axis_x.taps,
            TAPS_Y=axis_y.taps, SPAN_X=layout.span_x, SPAN_Y=span_y, SEPARABLE=separable,
            ALONG_X=layout.along_x, GROUP=layout.group, VECTOR=layout.vector, STORE=layout.store,
            BLOCK=BLOCK, ACC=ACCUMULATE[x.dtype], **after,
        )  # fmt: skip


def _direct(
    x: Tensor, f: Tensor | None, out: Tensor, axes: tuple[Axis, ...], outer: int, inner: int,
    flip: bool, gain: float, after: dict[str, Any],
) -> None:  # fmt: skip
    axis_x, axis_y = axes
    rows, columns = outer * axis_y.out, axis_x.out * inner
    block_columns = min(power_of_two(columns), 256)
    block_rows = min(power_of_two(rows), TILE // block_columns)
    tiles = triton.cdiv(columns, block_columns)
    programs = triton.cdiv(rows, block_rows) * tiles
    if max(programs, rows + block_rows, columns + block_columns) > 2**31 - 1:
        raise _too_large(x)
    with on_device(x):
        direct_kernel[(programs,)](
            x, f, out, gain, axis_y.size, axis_x.size, axis_y.out, axis_x.out, inner, rows, tiles,
            axis_x.up, axis_y.up, axis_x.down, axis_y.down, axis_x.pad, axis_y.pad, axis_x.taps,
            axis_y.taps, *((0, 1) if flip else (axis_x.taps * axis_y.taps - 1, -1)),
            BLOCK_ROWS=block_rows, BLOCK_COLUMNS=block_columns, ACC=ACCUMULATE[out.dtype],
            **after,
        )  # fmt: skip


def upfirdn2d(
    x: Tensor, f: Tensor | None, up: Sequence[int], down: Sequence[int], pad: Sequence[int],
    size: Sequence[int], flip: bool, gain: float,
) -> Tensor:  # fmt: skip
    out = image_like(x, (size[1], size[0]))
    filter_into(out, x, f, up, down, pad, flip, gain, NOTHING)
    return out


def filter_into(
    out: Tensor, x: Tensor, f: Tensor | None, up: Sequence[int], down: Sequence[int],
    pad: Sequence[int], flip: bool, gain: float, after: dict[str, Any],
) -> None:  # fmt: skip
    """Write the result of upfirdn2d and the epilogue ``after`` to ``out``, in the layout of ``x``.

    The epilogue is that of :mod:`fastgan.ops.upfirdn2d.epilogue`.
    """
    n, c, h, w = x.shape
    taps, size = reference.axis_taps(f), (out.shape[3], out.shape[2])
    axis_x, axis_y = axes = tuple(Axis(*a) for a in zip((w, h), size, up, down, pad, taps))
    if max(max(a.size * a.up, a.out * a.down, abs(a.pad)) + a.taps * a.down for a in axes) > 2**30:
        raise _too_large(x)
    if not out.numel():
        return
    skips = not all(any(p.count for p in axis.phases()) for axis in axes)
    if after is NOTHING and (skips or not x.numel()):
        out.zero_()
        return
    memory = memory_format(x)
    x = x.contiguous(memory_format=memory)
    f = None if f is None else f.contiguous()
    inner = c if memory == torch.channels_last else 1
    outer = n * c // inner
    separable = f is None or f.ndim == 1
    layout = None if skips else choose_layout(axis_x, axis_y, separable, inner, x.dtype)
    if layout is not None:
        _strips(x, f, out, axes, outer, inner, layout, flip, gain, separable, after)
    elif not separable:
        _direct(x, f, out, axes, outer, inner, flip, gain, after)
    else:
        # One axis, then the other, with the precision of the sums in between.
        shape = (n, c, h, axis_x.out)
        between = torch.empty(shape, dtype=SUMS[x.dtype], device=x.device, memory_format=memory)
        one_x, one_y = Axis(axis_x.out, axis_x.out, 1, 1, 0, 1), Axis(h, h, 1, 1, 0, 1)
        _direct(x, f, between, (axis_x, one_y), outer, inner, flip, 1.0, NOTHING)
        _direct(between, f, out, (one_x, axis_y), outer, inner, flip, gain, after)
