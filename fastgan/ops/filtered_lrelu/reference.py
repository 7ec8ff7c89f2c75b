"""filtered_lrelu in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops._layout import in_layout_of
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.bias_act.reference import pre_activation
from fastgan.ops.upfirdn2d.reference import axis_taps, crop, upfirdn2d

ROWS_PER_BYTE = 4
"""Rows of the upsampled image whose codes share a byte."""
Sizes = tuple[int, ...]


def between(size: Sequence[int], fd: Tensor | None, down: int) -> Sizes:
    """Return the size of the upsampled image that a result of ``size`` is filtered from."""
    return tuple((n - 1) * down + taps for n, taps in zip(size, axis_taps(fd)))


def codes_size(size: Sequence[int], fd: Tensor | None, down: int) -> Sizes:
    """Return the width and the height of the codes, in bytes."""
    width, height = between(size, fd, down)
    return width, (height + ROWS_PER_BYTE - 1) // ROWS_PER_BYTE


def activation(u: Tensor, slope: float, clamp: float | None) -> Tensor:
    """Return the clamped leaky ReLU, whose derivative is 1 at 0."""
    v = torch.where(u < 0, u * slope, u)
    if clamp is None:
        return v
    # No gradient flows where the clamp changes v.
    return torch.where(v.abs() > clamp, v.detach().clamp(-clamp, clamp), v)


def upsampled(
    x: Tensor, b: Tensor | None, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], gain: float, flip: bool,
) -> Tensor:  # fmt: skip
    """Return the image before the activation, in the dtype of sums."""
    v = pre_activation(x, b, 1)
    return upfirdn2d(v, fu, (up, up), (1, 1), pad, between(size, fd, down), flip, gain)


def downsampled(
    v: Tensor, fd: Tensor | None, down: int, size: Sequence[int], flip: bool, like: Tensor
) -> Tensor:
    """Return the result from the image behind the activation."""
    y = upfirdn2d(v, fd, (1, 1), (down, down), (0, 0), size, flip, 1.0)
    return in_layout_of(like, y.to(like.dtype))


def plain(
    x: Tensor, b: Tensor | None, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], gain: float, slope: float, clamp: float | None,
    flip: bool,
) -> Tensor:  # fmt: skip
    """Return the op's result; autograd gives derivatives of any order."""
    u = upsampled(x, b, fu, fd, up, down, pad, size, gain, flip)
    return downsampled(activation(u, slope, clamp), fd, down, size, flip, x)


# The registered ops: they stand in for missing native kernels.


def shifts(device: torch.device) -> Tensor:
    """Return the places of a byte's codes, along a dimension behind the rows of bytes."""
    return torch.arange(0, 2 * ROWS_PER_BYTE, 2, dtype=torch.uint8, device=device)[:, None]


def packed(u: Tensor, slope: float, clamp: float | None) -> Tensor:
    """Return the codes of the derivative at ``u``, four rows to a byte, the first in the low bits.

    They are 0 for a slope of 1, 1 for ``slope`` and 2 for 0, where the clamp is active.
    """
    codes = (u < 0).to(torch.uint8)
    if clamp is not None:
        codes[activation(u, slope, None).abs() > clamp] = 2
    codes = F.pad(codes, (0, 0, 0, -u.shape[2] % ROWS_PER_BYTE))
    return (codes.unflatten(2, (-1, ROWS_PER_BYTE)) << shifts(u.device)).sum(3, dtype=torch.uint8)


def slopes(
    codes: Tensor, size: Sequence[int], offset: Sequence[int], slope: float, dtype: torch.dtype
) -> Tensor:
    """Return the derivatives of an upsampled image of ``size``, whose first one is at ``offset``.

    They are 0 beyond the codes.
    """
    each = ((codes[:, :, :, None] >> shifts(codes.device)) & 3).flatten(2, 3).long()
    # Filled on the device: a copy from the host would wait for it.
    values = [torch.full((), v, dtype=dtype, device=codes.device) for v in (1.0, slope, 0.0, 0.0)]
    found = torch.stack(values)[each]
    before, after = [-o for o in offset], []
    for length, o, n in zip((each.shape[3], each.shape[2]), offset, size):
        after.append(o + n - length)
    sides = (before[0], after[0], before[1], after[1])
    found = F.pad(found, [max(side, 0) for side in sides])
    return found[
        :, :, crop(before[1], after[1], found.shape[2]), crop(before[0], after[0], found.shape[3])
    ]


def filtered_lrelu(
    x: Tensor, b: Tensor | None, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], gain: float, slope: float, clamp: float | None,
    flip: bool, need_codes: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the result and the codes of the derivative, which are empty unless ``need_codes``.

    Args:
        pad: padding before the first row and column, ``(x, y)``.
        size: size of the result, ``(x, y)``.
        gain: factor of the filtered image, that of the inserted zeros included.
    """
    u = upsampled(x, b, fu, fd, up, down, pad, size, gain, flip)
    y = downsampled(activation(u, slope, clamp), fd, down, size, flip, x)
    if not need_codes:
        return y, x.new_empty(0, dtype=torch.uint8)
    return y, in_layout_of(x, packed(u, slope, clamp))


def filtered_lrelu_linear(
    x: Tensor, codes: Tensor, fu: Tensor | None, fd: Tensor | None, up: int, down: int,
    pad: Sequence[int], size: Sequence[int], offset: Sequence[int], gain: float, slope: float,
    flip: bool,
) -> Tensor:  # fmt: skip
    """Return the op with the derivatives of ``codes`` in place of the activation.

    It is linear in ``x``. Place ``p`` of the upsampled image has the code ``p + offset``.
    """
    if 0 in size:
        return in_layout_of(x, x.new_empty((*x.shape[:2], size[1], size[0])))
    u = upsampled(x, None, fu, fd, up, down, pad, size, gain, flip)
    factors = slopes(codes, (u.shape[3], u.shape[2]), offset, slope, accumulate_dtype(x.dtype))
    return downsampled(u * factors, fd, down, size, flip, x)
