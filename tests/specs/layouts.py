"""The same values under other strides."""

from __future__ import annotations

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    return x.to(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def transposed(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def every_other(x: Tensor) -> Tensor:
    return torch.stack([x, x + 1], dim=-1).flatten(-2)[..., ::2]


def unaligned(x: Tensor) -> Tensor:
    return torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)


def expanded(x: Tensor) -> Tensor:
    return x[:1].expand(x.shape)
