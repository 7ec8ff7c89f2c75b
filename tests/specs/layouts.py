"""Copies of a tensor with the same values and other strides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Layout = Callable[[Tensor], Tensor]


def channels_last(x: Tensor) -> Tensor:
    """Return ``x`` with the channels as its fastest dimension."""
    return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def transposed(x: Tensor) -> Tensor:
    """Return ``x`` with its first two dimensions swapped in memory."""
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def every_other(x: Tensor) -> Tensor:
    """Return ``x`` as every other element of a larger tensor."""
    return torch.stack([x, x + 1], dim=-1).flatten(-2)[..., ::2]


def unaligned(x: Tensor) -> Tensor:
    """Return ``x`` at an address that isn't aligned."""
    return torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)


def expanded(x: Tensor) -> Tensor:
    """Return the first sample of ``x`` for all samples, with a stride of 0."""
    return x[:1].expand(x.shape)
