"""Minibatch discrimination (Salimans et al. 2016, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    """Tells of each sample how close the others of its batch are, so that D sees when G repeats itself.

    With M = f·T, `[N, kernels, dims]`, and c_b(i, j) = exp(-‖M_ib - M_jb‖₁):

        o(x_i)_b = 1/(N - 1)·Σ_{j ≠ i} c_b(i, j)

    The paper has the sum, with the term j = i, which is 1 for every sample; the mean doesn't depend on the size of the
    batch. 1 is a batch of equal samples, 0 of samples far from each other. Join the result to the features, or give both
    to the layer that follows.

    Args:
        in_features: A of the features f.
        kernels: B, so many measures of closeness.
        dims: C, the dimensions that each compares in.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, in_features: int, kernels: int, dims: int = 5) -> None:
        super().__init__()
        if min(in_features, kernels, dims) < 1:
            raise ValueError(
                f"in_features, kernels and dims must be at least 1, got {in_features}, {kernels} and {dims}"
            )
        self.kernels, self.dims = kernels, dims
        # Distances start at about the size of a feature, where exp neither vanishes nor is flat.
        self.weight = nn.Parameter(torch.randn(in_features, kernels * dims) / in_features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """features: `[N, in_features]`. Returns float32 `[N, kernels]` (float64 for float64)."""
        projected = features @ self.weight
        if projected.dtype in (torch.float16, torch.bfloat16):
            projected = projected.float()
        projected = projected.unflatten(1, (self.kernels, self.dims))
        distances = (projected[:, None] - projected[None]).abs().sum(3)  # [N, N, kernels]
        return ((-distances).exp().sum(1) - 1) / max(1, features.shape[0] - 1)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, kernels={self.kernels}, dims={self.dims}"
