# mypy: disable-error-code="no-untyped-def, name-defined"
"""minibatch_stddev in Triton: one kernel, a sweep over images, for the op and its derivatives.

A program has a tile of positions in all samples of a group, which it reads again from the cache.
Each tile writes its sum to a place of its own. Torch adds those up in a fixed order, and handles
the appended channels, which are few.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import image_like, memory_format
from fastgan.ops._triton import ACCUMULATE, SUMS, on_device, power_of_two
from fastgan.ops.minibatch_stddev.reference import EPS, weights


@triton.jit
def minibatch_stddev_kernel(
    x_ptr, ddx_ptr, dy_ptr, weight_ptr, narrow_ptr, wide_ptr, partial_ptr,
    group, groups, parts, positions, length,
    narrow_row, wide_row, narrow_sample, wide_sample, tiles,
    # Without this type, floats arrive as float32.
    eps: tl.float64,
    PASS: tl.constexpr, LAST: tl.constexpr, ACC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Run a pass: ``PASS`` is 0 for forward, 1 for the first derivative, 2 for the second.

    They are those of csrc/minibatch_stddev/problem.h. Pointers that a pass doesn't need are None.
    """
    program = tl.program_id(0)
    number = program // tiles
    m = (number // parts).to(tl.int64)
    position = program % tiles * BLOCK + tl.arange(0, BLOCK)
    inside = position < positions
    part = (number % parts).to(tl.int64) * length
    narrow = m * narrow_sample + part
    wide = m * wide_sample + part
    if LAST:
        # A row is a pixel.
        row = (position // length).to(tl.int64)
        narrow += row * narrow_row + position % length
        wide += row * wide_row + position % length
    else:
        narrow += position
        wide += position
    narrow_step = tl.cast(narrow_sample, tl.int64) * groups
    wide_step = tl.cast(wide_sample, tl.int64) * groups
    mean = tl.zeros((BLOCK,), ACC)
    mean_ddx = mean
    square = mean
    b = mean
    for k in range(group):
        copied = tl.load(x_ptr + narrow + k * narrow_step, inside, 0.0)
        mean += copied.to(ACC)
        if PASS == 2:
            copied = tl.load(ddx_ptr + narrow + k * narrow_step, inside, 0.0)
            mean_ddx += copied.to(ACC)
        if wide_ptr is not None:
            tl.store(wide_ptr + wide + k * wide_step, copied, inside)
    mean /= group
    mean_ddx /= group
    for k in range(group):
        z = tl.load(x_ptr + narrow + k * narrow_step, inside, 0.0).to(ACC) - mean
        square += z * z
        if PASS == 2:
            b += tl.load(ddx_ptr + narrow + k * narrow_step, inside, 0.0).to(ACC) * z
    sigma = tl.sqrt(square / group + tl.full((), eps, ACC))
    if partial_ptr is not None:
        added = sigma
        if PASS == 2:
            added = b / sigma
        tl.store(partial_ptr + program, tl.sum(tl.where(inside, added, 0.0), 0))
    if narrow_ptr is not None:
        weight = tl.load(weight_ptr + number)
        for k in range(group):
            at = narrow + k * narrow_step
            z = tl.load(x_ptr + at, inside, 0.0).to(ACC) - mean
            if PASS == 1:
                dx = (
                    tl.load(dy_ptr + wide + k * wide_step, inside, 0.0).to(ACC) + weight * z / sigma
                )
            else:
                turn = b * z / (sigma * sigma * group)
                dx = weight * (tl.load(ddx_ptr + at, inside, 0.0).to(ACC) - mean_ddx - turn) / sigma
            tl.store(narrow_ptr + at, dx.to(narrow_ptr.dtype.element_ty), inside)


def _sweep(
    order: int, x: Tensor, group_size: int, parts: int, *, dy: Tensor | None = None,
    ddx: Tensor | None = None, narrow: Tensor | None = None, wide: Tensor | None = None,
) -> None:  # fmt: skip
    """Run a sweep in the layout of ``x``; fill ``narrow`` and ``wide`` unless they are None."""
    if not x.numel():
        return
    n, channels, height, width = x.shape
    pixels = height * width
    memory = memory_format(x)
    last = memory == torch.channels_last
    group = min(group_size, n)
    groups = n // group
    length = channels // parts * (1 if last else pixels)
    positions = channels // parts * pixels
    # 16 bytes per thread of 4 warps. In channels_last each element has a row of its own, and more
    # than 4 of them would spill.
    block = min(power_of_two(positions), 2048 // x.itemsize, 512 if last else 1024)
    tiles = triton.cdiv(positions, block)
    if max(groups * parts * tiles, positions + block) > 2**31 - 1:
        raise ValueError(
            f"minibatch_stddev: a tensor of shape {list(x.shape)} is too large for one launch; "
            "split it"
        )
    sums = SUMS[x.dtype]
    partial = (
        None if wide is None else torch.empty((groups, parts, tiles), dtype=sums, device=x.device)
    )
    weight = None
    if narrow is not None:
        assert dy is not None
        weight = weights(dy, x, group_size).contiguous()
    images = [None if t is None else t.contiguous(memory_format=memory) for t in (x, ddx, dy)]
    with on_device(x):
        minibatch_stddev_kernel[(groups * parts * tiles,)](
            *images, weight, narrow, wide, partial, group, groups, parts, positions, length,
            channels, channels + parts, channels * pixels, (channels + parts) * pixels, tiles, EPS,
            PASS=order, LAST=last, ACC=ACCUMULATE[x.dtype], BLOCK=block,
        )  # fmt: skip
    if wide is not None:
        assert partial is not None
        value = partial.sum(2) / (positions * (1 if order == 0 else group))
        wide[:, channels:] = value.repeat(group, 1)[:, :, None, None]


def minibatch_stddev(x: Tensor, group_size: int, num_channels: int) -> Tensor:
    y = image_like(x, more_channels=num_channels)
    _sweep(0, x, group_size, num_channels, wide=y)
    return y


def minibatch_stddev_backward(dy: Tensor, x: Tensor, group_size: int, num_channels: int) -> Tensor:
    dx = image_like(x)
    _sweep(1, x, group_size, num_channels, dy=dy, narrow=dx)
    return dx


def minibatch_stddev_double_backward(
    ddx: Tensor,
    dy: Tensor,
    x: Tensor,
    group_size: int,
    num_channels: int,
    need_ddy: bool,
    need_dx: bool,
) -> tuple[Tensor, Tensor]:
    ddy = image_like(x, more_channels=num_channels) if need_ddy else None
    dx = image_like(x) if need_dx else None
    if need_ddy or need_dx:
        _sweep(2, x, group_size, num_channels, dy=dy, ddx=ddx, narrow=dx, wide=ddy)
    nothing = x.new_empty(0)
    return nothing if ddy is None else ddy, nothing if dx is None else dx
