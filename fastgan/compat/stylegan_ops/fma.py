"""The official module ``fma``."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fma"]


def fma(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return ``a * b + c`` in one pass, with broadcasting; differentiable to any order."""
    return torch.addcmul(c, a, b)
