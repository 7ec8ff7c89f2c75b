from __future__ import annotations

import torch
from torch import Tensor, nn


def pixel_norm(x: Tensor, *, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x / √(mean(x²) + eps)`` along ``dim``: each pixel's features get a root mean square of 1 (Karras et al. 2018, 4.2).

    Args:
        x: ``[*]``, usually ``[N, C, H, W]`` or ``[N, C]``, of a floating-point dtype; half types are squared in float32.
        dim: of the features.
        eps: added to the mean.

    Returns:
        ``[*]``, of the dtype of ``x``; differentiable to any order.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    return (wide * (wide.square().mean(dim, keepdim=True) + eps).rsqrt()).to(x.dtype)


class PixelNorm(nn.Module):
    """:func:`pixel_norm` as a layer; it has no parameters.

    Args:
        dim, eps: as in :func:`pixel_norm`.

    Shape:
        ``[*]`` → the same; usually ``[N, C, H, W]`` or ``[N, C]``.
    """

    def __init__(self, *, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x: Tensor) -> Tensor:
        return pixel_norm(x, dim=self.dim, eps=self.eps)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, eps={self.eps}"
