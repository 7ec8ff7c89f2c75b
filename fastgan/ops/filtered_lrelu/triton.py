# mypy: disable-error-code="no-untyped-def"
"""filtered_lrelu in Triton: a fused kernel, or upfirdn2d's kernels with the activation in between.

The fused kernel (``fused_triton``) takes separable filters and factors of 1, 2 and 4. For the rest
the upsampled image is stored, in the dtype of sums: Triton has no access to neighbours in shared
memory. The kernel here works on it in place. A program has some rows of bytes of codes: four rows
of the image, seen as ``[outer·y, x·inner]``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import image_like, memory_format
from fastgan.ops._triton import ACCUMULATE, on_device, power_of_two
from fastgan.ops.bias_act.reference import pre_activation
from fastgan.ops.filtered_lrelu import fused_triton, reference
from fastgan.ops.upfirdn2d.triton import upfirdn2d

TILE = 512
"""Bytes of codes of a program."""


@triton.jit
def codes_kernel(
    u_ptr, codes_ptr, slope: tl.float64, clamp: tl.float64,
    rows, columns, bytes_of_image, code_rows, code_columns, offset_y, offset_x, all_bytes, tiles,
    READ: tl.constexpr, BLOCK_ROWS: tl.constexpr, BLOCK_COLUMNS: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Apply the activation and write its codes, or with ``READ`` the slopes of given codes.

    Columns and ``offset_x`` count elements. ``bytes_of_image`` is the number of rows of bytes that
    an image of ``rows`` rows meets, the first one at ``offset_y``.
    """
    tile = tl.program_id(0)
    at = (tile // tiles) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    column = (tile % tiles) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    image = (at // bytes_of_image).to(tl.int64)
    # The row of codes, rounded down for both signs.
    shift = ((offset_y % 4) + 4) % 4
    group = at % bytes_of_image
    code_row = (offset_y - shift) // 4 + group
    code_column = column + offset_x
    there = ((at < all_bytes) & (code_row >= 0) & (code_row < code_rows))[:, None] & (
        (column < columns) & (code_column >= 0) & (code_column < code_columns)
    )[None, :]
    code_ptr = codes_ptr
    if codes_ptr is not None:
        code_at = (image * code_rows + code_row)[:, None] * code_columns + code_column[None, :]
        code_ptr = codes_ptr + code_at
    slope = tl.full((), slope, ACC)
    clamp = tl.full((), clamp, ACC)
    codes = tl.full((BLOCK_ROWS, BLOCK_COLUMNS), 0xAA, tl.int32)
    if READ:
        codes = tl.load(code_ptr, there, 0xAA).to(tl.int32)
    made = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), tl.int32)
    for r in tl.static_range(4):
        row = group * 4 + r - shift
        inside = ((at < all_bytes) & (row >= 0) & (row < rows))[:, None] & (column < columns)[
            None, :
        ]
        pixel = u_ptr + (image * rows + row)[:, None] * columns + column[None, :]
        u = tl.load(pixel, inside, 0.0)
        if READ:
            code = (codes >> (2 * r)) & 3
            v = u * tl.where(code == 0, 1.0, tl.where(code == 1, slope, 0.0)).to(ACC)
        else:
            v = tl.where(u < 0, u * slope, u)
            over = (v > clamp) | (v < -clamp)
            code = tl.where(over, 2, tl.where(u < 0, 1, 0))
            made |= tl.where(inside, code << (2 * r), 0)
            v = tl.where(v > clamp, clamp, tl.where(v < -clamp, -clamp, v))
        tl.store(pixel, v, inside)
    if not READ and codes_ptr is not None:
        tl.store(code_ptr, made.to(tl.uint8), there)


def _apply(
    u: Tensor, codes: Tensor | None, offset: Sequence[int], slope: float, clamp: float | None,
    read: bool,
) -> None:  # fmt: skip
    """Run the kernel on the upsampled image ``u``, in place; ``codes`` have its layout."""
    n, c, rows, width = u.shape
    inner = c if memory_format(u) == torch.channels_last else 1
    outer, columns = n * c // inner, width * inner
    code_rows, code_width = (0, 0) if codes is None else codes.shape[2:]
    in_image = triton.cdiv(offset[1] % 4 + rows, 4)
    all_bytes = outer * in_image
    if not codes_fit(u, codes):
        raise ValueError(
            f"filtered_lrelu: an upsampled image of shape {list(u.shape)} is too large for one "
            "launch; split it"
        )
    if codes is None:
        # Any number of rows is there.
        code_rows, code_width = in_image, width
    block_columns = min(power_of_two(columns), 128)
    block_rows = min(power_of_two(all_bytes), TILE // block_columns)
    tiles = triton.cdiv(columns, block_columns)
    with on_device(u):
        codes_kernel[(triton.cdiv(all_bytes, block_rows) * tiles,)](
            u, codes, slope, float("nan") if clamp is None else clamp, rows, columns, in_image,
            code_rows, code_width * inner, offset[1], offset[0] * inner, all_bytes, tiles,
            READ=read, BLOCK_ROWS=block_rows, BLOCK_COLUMNS=block_columns, ACC=ACCUMULATE[u.dtype],
        )  # fmt: skip


def codes_fit(u: Tensor, codes: Tensor | None) -> bool:
    """Return True if 32-bit numbers hold the rows and columns of both images."""
    sizes = [u.numel() // max(1, u.shape[2]), u.shape[0] * u.shape[1] * (u.shape[2] + 8)]
    if codes is not None:
        sizes += [codes.shape[1] * codes.shape[3]]
    return max(sizes) < 2**30


def _upsampled(
    x: Tensor, b: Tensor | None, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], gain: float, flip: bool,
) -> Tensor:  # fmt: skip
    v = pre_activation(x, b, 1)
    return upfirdn2d(v, fu, (up, up), (1, 1), pad, reference.between(size, fd, down), flip, gain)


def filtered_lrelu(
    x: Tensor, b: Tensor | None, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], gain: float, slope: float, clamp: float | None,
    flip: bool, need_codes: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    codes = x.new_empty(0, dtype=torch.uint8)
    if need_codes:
        width, height = reference.codes_size(size, fd, down)
        codes = image_like(x, (height, width), dtype=torch.uint8)
    if not x.shape[0] * x.shape[1]:
        return image_like(x, (size[1], size[0])), codes
    if fused_triton.fits(x, fu, fd, up, down):
        y, x = image_like(x, (size[1], size[0])), x.contiguous(memory_format=memory_format(x))
        fused_triton.run(
            x, b, fu, fd, y, codes, up, down, pad, (0, 0), gain, slope, clamp, flip, False
        )
        return y, codes
    u = _upsampled(x, b, fu, fd, up, down, pad, size, gain, flip)
    _apply(u, codes if need_codes else None, (0, 0), slope, clamp, read=False)
    y = upfirdn2d(u, fd, (1, 1), (down, down), (0, 0), size, flip, 1.0)
    return _as_images(x, y), codes


def filtered_lrelu_linear(
    x: Tensor, codes: Tensor, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], offset: Sequence[int], gain: float, slope: float,
    flip: bool,
) -> Tensor:  # fmt: skip
    if 0 in (*x.shape[:2], *size):
        return image_like(x, (size[1], size[0]))
    if fused_triton.fits(x, fu, fd, up, down) and codes.numel():
        y, memory = image_like(x, (size[1], size[0])), memory_format(x)
        x, codes = x.contiguous(memory_format=memory), codes.contiguous(memory_format=memory)
        fused_triton.run(
            x, None, fu, fd, y, codes, up, down, pad, offset, gain, slope, None, flip, True
        )
        return y
    u = _upsampled(x, None, fu, fd, up, down, pad, size, gain, flip)
    codes = codes.contiguous(memory_format=memory_format(u))
    _apply(u, codes, offset, slope, None, read=True)
    return _as_images(x, upfirdn2d(u, fd, (1, 1), (down, down), (0, 0), size, flip, 1.0))


def _as_images(x: Tensor, y: Tensor) -> Tensor:
    """Return ``y`` in the dtype and layout of ``x``."""
    if y.dtype == x.dtype and memory_format(x) == memory_format(y):
        return y
    return image_like(x, y.shape[2:]).copy_(y)
