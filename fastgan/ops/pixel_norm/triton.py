# mypy: disable-error-code="no-untyped-def, name-defined"
"""pixel_norm in Triton: one kernel for the op and its two derivatives.

A program has a few pixels with all their channels, a tile at a time. It reads them once for their
sums, and again, from the cache, for the results. Its pixels are neighbours in memory, or rows of
channels if the channels are neighbours.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._triton import ACCUMULATE, in_order_of, on_device, power_of_two


@triton.jit
def _read(ptr, at, inside, ACC: tl.constexpr):
    return tl.load(ptr + at, inside, 0.0).to(ACC)


@triton.jit
def pixel_norm_kernel(
    x_ptr, dy_ptr, ddx_ptr, out_ptr, dx_ptr,
    channels, pixels, strips, channel_step, pixel_step, outer_step,
    # Without this type, floats arrive as float32.
    eps: tl.float64,
    PASS: tl.constexpr, ACC: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    """Run a pass: ``PASS`` is 0 for forward, 1 for the first derivative, 2 for the second.

    ``out`` is y, dx or ddy. The second derivative leaves out results whose pointer is None.
    """
    program = tl.program_id(0)
    pixel = program % strips * BLOCK_P + tl.arange(0, BLOCK_P)
    within = pixel < pixels
    first = (program // strips).to(tl.int64) * outer_step + pixel.to(tl.int64)[None, :] * pixel_step
    xx = tl.zeros((BLOCK_P,), ACC)
    gx = xx
    ux = xx
    ug = xx
    for start in range(0, channels, BLOCK_C):
        channel = start + tl.arange(0, BLOCK_C)
        inside = (channel < channels)[:, None] & within[None, :]
        at = first + channel.to(tl.int64)[:, None] * channel_step
        x = _read(x_ptr, at, inside, ACC)
        xx += tl.sum(x * x, 0)
        if PASS > 0:
            g = _read(dy_ptr, at, inside, ACC)
            gx += tl.sum(g * x, 0)
        if PASS == 2:
            u = _read(ddx_ptr, at, inside, ACC)
            ux += tl.sum(u * x, 0)
            ug += tl.sum(u * g, 0)
    count = tl.full((), 0.0, ACC) + channels
    r = 1.0 / tl.sqrt(xx / count + tl.full((), eps, ACC))
    cube = r * r * r / count
    along_dy = (cube * gx)[None, :]
    along_ddx = (cube * ux)[None, :]
    bend = (3.0 * r * r * cube * gx * (ux / count) - cube * ug)[None, :]
    r = r[None, :]
    for start in range(0, channels, BLOCK_C):
        channel = start + tl.arange(0, BLOCK_C)
        inside = (channel < channels)[:, None] & within[None, :]
        at = first + channel.to(tl.int64)[:, None] * channel_step
        x = _read(x_ptr, at, inside, ACC)
        if PASS == 0:
            tl.store(out_ptr + at, (r * x).to(out_ptr.dtype.element_ty), inside)
        else:
            g = _read(dy_ptr, at, inside, ACC)
            if PASS == 1:
                tl.store(out_ptr + at, (r * g - along_dy * x).to(out_ptr.dtype.element_ty), inside)
            else:
                u = _read(ddx_ptr, at, inside, ACC)
                if out_ptr is not None:
                    tl.store(
                        out_ptr + at, (r * u - along_ddx * x).to(out_ptr.dtype.element_ty), inside
                    )
                if dx_ptr is not None:
                    dx = bend * x - along_ddx * g - along_dy * u
                    tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), inside)


def blocks(
    channels: int, pixels: int, rows: bool, order: int, dtype: torch.dtype
) -> tuple[int, int]:
    """Return the channels and pixels of a tile, whose longer side is along memory.

    A thread of its 4 warps has 16 elements; half of them for float64 and for second derivatives.
    """
    tile = 2048 // (2 if dtype == torch.float64 else 1) // (2 if order == 2 else 1)
    if rows:
        block_c = min(power_of_two(channels), tile)
        return block_c, min(power_of_two(pixels), tile // block_c)
    block_p = min(power_of_two(pixels), 64)
    return min(power_of_two(channels), tile // block_p), block_p


def _launch(
    order: int, layout: Tensor, dim: int, eps: float, x: Tensor, dy: Tensor | None = None,
    ddx: Tensor | None = None, out: Tensor | None = None, dx: Tensor | None = None,
) -> None:  # fmt: skip
    """Run a pass in the memory order of ``layout``."""
    if not layout.numel():
        return
    channels = layout.shape[dim]
    inner = layout.stride(dim) if channels > 1 else layout.numel()
    outer = layout.numel() // (channels * inner)
    rows = inner == 1
    pixels = outer if rows else inner
    block_c, block_p = blocks(channels, pixels, rows, order, layout.dtype)
    strips = triton.cdiv(pixels, block_p)
    programs = strips if rows else outer * strips
    if max(programs, pixels + block_p, channels + block_c) > 2**31 - 1:
        raise ValueError(
            f"pixel_norm: a tensor of shape {list(layout.shape)} is too large for one launch; "
            "split it"
        )
    given = [None if t is None else in_order_of(t, layout) for t in (x, dy, ddx)]
    with on_device(layout):
        pixel_norm_kernel[(programs,)](
            *given, out, dx, channels, pixels, strips, inner, channels if rows else 1,
            channels * inner, eps, PASS=order, ACC=ACCUMULATE[layout.dtype], BLOCK_C=block_c,
            BLOCK_P=block_p,
        )  # fmt: skip


def pixel_norm(x: Tensor, dim: int, eps: float) -> Tensor:
    y = torch.empty_like(x)
    _launch(0, y, dim, eps, x, out=y)
    return y


def pixel_norm_backward(dy: Tensor, x: Tensor, dim: int, eps: float) -> Tensor:
    dx = torch.empty_like(x)
    _launch(1, dx, dim, eps, x, dy, out=dx)
    return dx


def pixel_norm_double_backward(
    ddx: Tensor, dy: Tensor, x: Tensor, dim: int, eps: float, need_ddy: bool, need_dx: bool
) -> tuple[Tensor, Tensor]:
    ddy, dx = (torch.empty_like(x) if need else None for need in (need_ddy, need_dx))
    if need_ddy or need_dx:
        _launch(2, torch.empty_like(x), dim, eps, x, dy, ddx, ddy, dx)
    nothing = x.new_empty(0)
    return nothing if ddy is None else ddy, nothing if dx is None else dx
