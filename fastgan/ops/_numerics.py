"""Numerics that ops share: the dtype of sums, and the pixels that a clamp leaves alone."""

from __future__ import annotations

import torch
from torch import Tensor


def accumulate_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float32 for the half types, else ``dtype`` itself."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def below_clamp(y: Tensor, clamp: float) -> Tensor:
    """Return a mask of the elements that the clamp leaves alone.

    The clamp is rounded to the dtype of ``y``, so that a clamped output is recognised.
    """
    return y.detach().abs() < torch.full((), clamp, dtype=y.dtype, device=y.device)
