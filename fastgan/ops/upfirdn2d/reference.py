"""upfirdn2d in plain PyTorch: insert zeros, pad and convolve, as the definition says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops._layout import in_layout_of

MANY_TAPS = 8
"""Taps from which two convolutions are faster than one by the product of the filters."""


def axis_taps(f: Tensor | None) -> tuple[int, int]:
    """Return the number of taps along x and y."""
    return (1, 1) if f is None else (f.shape[-1], f.shape[0])


def crop(before: int, after: int, length: int) -> slice:
    """Return the part of ``length`` that negative padding leaves."""
    return slice(max(-before, 0), length - max(-after, 0))


def upfirdn2d(
    x: Tensor, f: Tensor | None, up: Sequence[int], down: Sequence[int], pad: Sequence[int],
    size: Sequence[int], flip: bool, gain: float,
) -> Tensor:  # fmt: skip
    """Resample ``x`` to an output of ``size``; each pair is ``(x, y)``.

    Args:
        pad: padding before the first row and column.
    """
    n, c, h, w = x.shape
    if not x.numel():
        return x.sum() + x.new_zeros((n, c, size[1], size[0]))
    y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    y = y.reshape(n, c, h, 1, w, 1)
    y = F.pad(y, (0, up[0] - 1, 0, 0, 0, up[1] - 1)).reshape(n, c, h * up[1], w * up[0])
    after = [
        (size[i] - 1) * down[i] + axis_taps(f)[i] - pad[i] - length * up[i]
        for i, length in ((0, w), (1, h))
    ]
    sides = (pad[0], after[0], pad[1], after[1])
    # Pad before cropping, since cropping may take more than the image has.
    y = F.pad(y, [max(side, 0) for side in sides])
    y = y[:, :, crop(pad[1], after[1], y.shape[2]), crop(pad[0], after[0], y.shape[3])]
    if f is not None:
        taps = f.to(y.dtype) if flip else f.to(y.dtype).flip(list(range(f.ndim)))
        weights = [taps] if f.ndim == 2 else [taps[None, :], taps[:, None]]
        if f.ndim == 1 and len(f) < MANY_TAPS:
            weights = [taps[:, None] * taps]
        for weight in weights:
            y = F.conv2d(y, weight.expand(c, 1, *weight.shape), groups=c)
    y = (y[:, :, :: down[1], :: down[0]] * gain).to(x.dtype)
    return in_layout_of(x, y)
