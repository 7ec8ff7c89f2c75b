"""Minibatch discrimination (Salimans et al. 2016, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan.ops._checks import check_at_least


class MinibatchDiscrimination(nn.Module):
    """Closeness of each sample to the others of its batch, by which D notices repeated images.

    With M = f·T, ``[N, kernels, dims]``, and c_b(i, j) = exp(-‖M_ib - M_jb‖₁):

        o(x_i)_b = 1/(N - 1)·Σ_{j ≠ i} c_b(i, j)

    Salimans et al. 2016, section 3.2. The paper sums over all j, with the constant term j = i; the
    mean is independent of the batch size. It is 1 for equal samples and near 0 for distant ones.
    Concatenate the result with the features, or pass both to the next layer.

    Args:
        in_features: length A of the features f.
        kernels: number B of closeness measures.
        dims: dimensions C that each measure compares in.

    Raises:
        ValueError: a size is below 1.
    """

    def __init__(self, in_features: int, kernels: int, dims: int = 5) -> None:
        super().__init__()
        check_at_least(1, in_features=in_features, kernels=kernels, dims=dims)
        self.kernels, self.dims = kernels, dims
        # Distances start near 1 per dimension, where exp(-distance) has a useful gradient.
        self.weight = nn.Parameter(torch.randn(in_features, kernels * dims) / in_features**0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Return the closeness of each sample, ``[N, kernels]``.

        Args:
            features: ``[N, in_features]``.

        Returns:
            float32, or float64 for float64.
        """
        projected = features @ self.weight
        if projected.dtype in (torch.float16, torch.bfloat16):
            projected = projected.float()
        projected = projected.unflatten(1, (self.kernels, self.dims))
        # [N, N, kernels].
        distances = (projected[:, None] - projected[None]).abs().sum(3)
        return ((-distances).exp().sum(1) - 1) / max(1, features.shape[0] - 1)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, kernels={self.kernels}, dims={self.dims}"
