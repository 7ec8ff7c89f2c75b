# mypy: disable-error-code="no-untyped-def, name-defined"
"""bias_act in Triton: one kernel for the op and its two derivatives.

A tensor in memory order is ``[outer, channels, inner]``. The kernel sees it as a matrix, one tile
per program. With long runs (``BY_ROW``) it is ``[outer·channels, inner]`` with one bias per row,
else ``[outer, channels·inner]`` with one bias per column. Each tile writes its part of the bias
gradient to a place of its own. Torch adds those up in a fixed order, so no atomics are needed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._triton import (
    ACCUMULATE,
    in_order_of,
    on_device,
    power_of_two,
)
from fastgan.ops._triton_activations import (
    PIECEWISE,
    act_curvature,
    act_slope,
    act_value,
    rounded_clamp,
)


@triton.jit
def bias_act_kernel(
    x_ptr, b_ptr, y_ptr, dy_ptr, ddx_ptr, ddb_ptr, out_ptr, out_v_ptr, partial_ptr,
    rows, columns, channels, inner, tiles,
    # Without these types, floats arrive as float32.
    alpha: tl.float64, gain: tl.float64, clamp: tl.float64,
    PASS: tl.constexpr, ACT: tl.constexpr, BY_ROW: tl.constexpr, ACC: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr,
):  # fmt: skip
    """Run a pass: ``PASS`` is 0 for forward, 1 for the first derivative, 2 for the second.

    Pointers that a pass doesn't need are None. No clamp is NaN: every comparison with it is false.
    """
    tile = tl.program_id(0)
    row = (tile // tiles) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tile % tiles) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    at = row.to(tl.int64)[:, None] * columns + column[None, :]
    alpha = tl.full((), alpha, ACC)
    gain = tl.full((), gain, ACC)
    clamp = tl.full((), clamp, ACC)

    if BY_ROW:
        channel = row % channels
        there = row < rows
    else:
        channel = column // inner
        there = column < columns
    v = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), ACC)
    if x_ptr is not None:
        v = tl.load(x_ptr + at, inside, 0.0).to(ACC)
        if b_ptr is not None:
            b = tl.load(b_ptr + channel, there, 0.0).to(ACC)
            v = v + (b[:, None] if BY_ROW else b[None, :])

    if PASS == 0:
        y = act_value(v, alpha, ACT) * gain
        result = tl.where(y > clamp, clamp, tl.where(y < -clamp, -clamp, y))
    else:
        if x_ptr is not None:
            y = act_value(v, alpha, ACT) * gain
        elif y_ptr is not None:
            y = tl.load(y_ptr + at, inside, 0.0).to(ACC)
            v = tl.where(gain < 0, -y, y)
        else:
            # Linear without clamp: its slope is the gain for any y.
            y = v
        active = tl.abs(y) >= clamp
        if PASS == 1:
            h = tl.load(dy_ptr + at, inside, 0.0).to(ACC)
        else:
            h = tl.load(ddx_ptr + at, inside, 0.0).to(ACC)
            if ddb_ptr is not None:
                ddb = tl.load(ddb_ptr + channel, there, 0.0).to(ACC)
                h = h + (ddb[:, None] if BY_ROW else ddb[None, :])
        result = tl.where(active, 0.0, h * act_slope(v, alpha, ACT) * gain)
    tl.store(out_ptr + at, result.to(out_ptr.dtype.element_ty), inside)

    if out_v_ptr is not None:
        dy = tl.load(dy_ptr + at, inside, 0.0).to(ACC)
        result = tl.where(active, 0.0, h * dy * act_curvature(v, ACT) * gain)
        tl.store(out_v_ptr + at, result.to(out_v_ptr.dtype.element_ty), inside)
    if partial_ptr is not None:
        result = tl.where(inside, result, 0.0)
        if BY_ROW:
            tl.store(partial_ptr + row * tiles + tile % tiles, tl.sum(result, 1), row < rows)
        else:
            tl.store(
                partial_ptr + (tile // tiles).to(tl.int64) * columns + column,
                tl.sum(result, 0),
                column < columns,
            )


SHORTEST_RUN = 32


def blocks(rows: int, columns: int, by_row: bool, dtype: torch.dtype) -> tuple[int, int]:
    """Return the rows and columns of a tile: 16 elements per thread of 4 warps.

    They are 8 for float64, which takes twice the registers.
    """
    tile, widest = (1024, 512) if dtype == torch.float64 else (2048, 1024)
    block_columns = min(power_of_two(columns), widest if by_row else 64)
    return min(power_of_two(rows), tile // block_columns), block_columns


def _launch(
    order: int, like: Tensor, dim: int, act: str, alpha: float, gain: float, clamp: float | None, *,
    out: Tensor, x: Tensor | None = None, b: Tensor | None = None, y: Tensor | None = None,
    dy: Tensor | None = None, ddx: Tensor | None = None, ddb: Tensor | None = None,
    out_v: Tensor | None = None, need_db: bool = False,
) -> Tensor:  # fmt: skip
    """Run a pass over tensors in the memory order of ``like``.

    Returns:
        The bias gradient, empty unless ``need_db``.
    """
    channels = like.shape[dim]
    inner = like.stride(dim) if channels > 1 else 1
    outer = like.numel() // (channels * inner) if like.numel() else 0
    db = like.new_empty(channels if need_db else 0)
    if not like.numel():
        return db.zero_()
    by_row = inner >= SHORTEST_RUN
    rows, columns = (outer * channels, inner) if by_row else (outer, channels * inner)
    block_rows, block_columns = blocks(rows, columns, by_row, like.dtype)
    tiles = triton.cdiv(columns, block_columns)
    down = triton.cdiv(rows, block_rows)
    if tiles * down > 2**31 - 1:
        raise ValueError(
            f"bias_act: a tensor of {like.numel()} elements is too large for one launch; split it"
        )
    sum_dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    partial = None
    if need_db:
        shape = (outer, channels, tiles) if by_row else (down, channels, inner)
        partial = torch.empty(shape, dtype=sum_dtype, device=like.device)
    with on_device(like):
        bias_act_kernel[(tiles * down,)](
            x, b, y, dy, ddx, ddb, out, out_v, partial, rows, columns, channels, inner, tiles,
            PIECEWISE.get(act, alpha), gain, rounded_clamp(clamp, like.dtype), PASS=order,
            ACT="lrelu" if act in PIECEWISE else act, BY_ROW=by_row, ACC=ACCUMULATE[like.dtype],
            BLOCK_ROWS=block_rows, BLOCK_COLUMNS=block_columns,
        )  # fmt: skip
    return db if partial is None else partial.sum((0, 2)).to(like.dtype)


def bias_act(
    x: Tensor, b: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float | None
) -> Tensor:
    y = torch.empty_like(x)
    b = None if b is None else b.contiguous()
    _launch(0, y, dim, act, alpha, gain, clamp, out=y, x=in_order_of(x, y), b=b)
    return y


def _ordered(layout: Tensor, *tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else in_order_of(t, layout) for t in tensors]


def bias_act_backward(
    dy: Tensor, x: Tensor | None, b: Tensor | None, y: Tensor | None, dim: int, act: str,
    alpha: float, gain: float, clamp: float | None, need_db: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    dx = torch.empty_like(dy)
    dy_, x, y = _ordered(dx, dy, x, y)
    b = None if b is None else b.contiguous()
    db = _launch(
        1, dx, dim, act, alpha, gain, clamp, out=dx, x=x, b=b, y=y, dy=dy_, need_db=need_db
    )
    return dx, db


def bias_act_double_backward(
    ddx: Tensor, ddb: Tensor | None, dy: Tensor | None, x: Tensor | None, b: Tensor | None,
    y: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float | None,
    need_db: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    ddy = torch.empty_like(ddx)
    out_v = None if dy is None else torch.empty_like(ddx)
    ddx_, dy, x, y = _ordered(ddy, ddx, dy, x, y)
    b, ddb = (None if t is None else t.contiguous() for t in (b, ddb))
    db = _launch(
        2, ddy, dim, act, alpha, gain, clamp,
        out=ddy, x=x, b=b, y=y, dy=dy, ddx=ddx_, ddb=ddb, out_v=out_v, need_db=need_db,
    )  # fmt: skip
    return ddy, (ddx.new_empty(0) if out_v is None else out_v), db
