"""Memory layouts that image ops keep: contiguous and channels_last."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def memory_format(x: Tensor) -> torch.memory_format:
    """Return the layout of a result for the input ``x[N, C, H, W]``.

    It is channels_last where the channels of ``x`` are its fastest dimension.
    """
    if x.shape[1] > 1 and not x.is_contiguous() and x.stride(1) == 1:
        return torch.channels_last
    return torch.contiguous_format


def in_layout_of(x: Tensor, result: Tensor) -> Tensor:
    """Return ``result[N, C, H, W]`` in the layout of ``x``.

    The strides are those of the layout also where a size is 1.
    """
    # Going through one dimension makes the strides unambiguous.
    if memory_format(x) == torch.channels_last:
        result = result.permute(0, 2, 3, 1)
        return result.reshape(-1).view(result.shape).permute(0, 3, 1, 2)
    return result.reshape(-1).view(result.shape)


def image_like(
    x: Tensor,
    size: Sequence[int] | None = None,
    *,
    more_channels: int = 0,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return an empty result for ``x[N, C, H, W]`` in its layout, of its size or ``[H, W]``.

    Its dtype is that of ``x`` by default.
    """
    h, w = x.shape[2:] if size is None else size
    n, c = x.shape[0], x.shape[1] + more_channels
    if memory_format(x) == torch.channels_last:
        return x.new_empty((n, h, w, c), dtype=dtype).permute(0, 3, 1, 2)
    return x.new_empty((n, c, h, w), dtype=dtype)
