"""The Fréchet distance between two sets of feature vectors, and the statistics that it needs."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, require_finite


class FeatureStatistics:
    """Mean and covariance of feature vectors that come in batches, in float64; the batches' sizes don't matter.

    count: vectors so far. mean: float64 ``[D]``.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)  # Σ (x - mean)(x - mean)ᵀ

    def update(self, features: Tensor) -> None:
        """Adds ``[N, D]`` of any float dtype, on any device.

        Raises:
            TypeError: no floating-point tensor.
            ValueError: wrong shape, or another D than before.
            NonFiniteError: a value is infinite or NaN.
        """
        check_floating("[N, D]", features=features)
        if features.ndim != 2 or (self.count and features.shape[1] != len(self.mean)):
            width = len(self.mean) if self.count else "D"
            raise ValueError(f"features must be [N, {width}], got {list(features.shape)}")
        if len(features) == 0:
            return
        require_finite("the Fréchet distance", features=features)
        x = features.detach().to("cpu", torch.float64)
        mean = x.mean(dim=0)
        scatter = (x - mean).T @ (x - mean)
        if self.count:  # Chan, Golub & LeVeque 1979: exact, and nothing cancels as it does in E[xxᵀ] - E[x]E[x]ᵀ
            total = self.count + len(x)
            step = mean - self.mean
            scatter += self._scatter + torch.outer(step, step) * (self.count * len(x) / total)
            mean = self.mean + step * (len(x) / total)
        self.count += len(x)
        self.mean, self._scatter = mean, scatter

    @property
    def covariance(self) -> Tensor:
        """The unbiased estimate (divided by count - 1), float64 ``[D, D]``. Raises ValueError below 2 vectors."""
        if self.count < 2:
            raise ValueError(
                f"A covariance needs at least 2 feature vectors, but {self.count} came."
            )
        return self._scatter / (self.count - 1)


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """Squared 2-Wasserstein distance of two normal distributions (Dowson & Landau 1982; Heusel et al. 2017).

    ``|μa - μb|² + tr A + tr B - 2 tr √(A B)``, at least 0, in float64. As ``tr √(A B) = tr √(√A B √A)``, the sum of
    the singular values of ``√A √B``, it takes no root of an unsymmetric matrix and covariances of any rank.

    Args:
        mean_a, mean_b: ``[D]``.
        cov_a, cov_b: ``[D, D]``, symmetric, no eigenvalue below 0 but for rounding.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: wrong shapes, or NonFiniteError for a value that is infinite or NaN.
    """
    check_floating("[D]", mean_a=mean_a, mean_b=mean_b)
    check_floating("[D, D]", cov_a=cov_a, cov_b=cov_b)
    width = mean_a.numel()
    for name, value, shape in [
        ("mean_a", mean_a, [width]),
        ("mean_b", mean_b, [width]),
        ("cov_a", cov_a, [width, width]),
        ("cov_b", cov_b, [width, width]),
    ]:
        if list(value.shape) != shape:
            raise ValueError(f"{name} must be {shape}, got {list(value.shape)}")
        require_finite("the Fréchet distance", **{name: value})
    mean_a, cov_a, mean_b, cov_b = (
        t.to("cpu", torch.float64) for t in (mean_a, cov_a, mean_b, cov_b)
    )
    roots = _root(cov_a).T @ _root(cov_b)
    overlap = torch.linalg.svdvals(roots).sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * overlap
    return max(0.0, distance.item())


def _root(covariance: Tensor) -> Tensor:
    """R ``[D, rank]`` with ``R Rᵀ = covariance``: √covariance without its null space and up to a rotation."""
    values, vectors = torch.linalg.eigh(covariance)
    # A null direction's eigenvalue is rounding of about 1e-16; its root, 1e-8, would count a thousand times.
    kept = values > values.abs().max() * len(values) * torch.finfo(torch.float64).eps
    return vectors[:, kept] * values[kept].sqrt()
