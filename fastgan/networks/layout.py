"""Memory layout of features in networks whose float32 features are contiguous."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["in_fastest_layout"]


def in_fastest_layout(x: Tensor) -> Tensor:
    """Return ``x[N, C, H, W]`` in channels_last under autocast on a CPU, else as it is.

    Convolutions of half types read and write channels_last there; another layout costs a copy on
    both sides of each.
    """
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return x
    return x.contiguous(memory_format=torch.channels_last)
