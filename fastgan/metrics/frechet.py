"""Fréchet distance between two sets of feature vectors, and the statistics that it needs."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, require_finite


class FeatureStatistics:
    """Mean and covariance of feature vectors in float64, accumulated over batches of any size.

    Attributes:
        count: number of vectors so far.
        mean: float64 ``[D]``.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(0, dtype=torch.float64)
        # Σ (x - mean)(x - mean)ᵀ
        self._scatter = torch.zeros(0, 0, dtype=torch.float64)

    @classmethod
    def of(cls, features: Tensor) -> FeatureStatistics:
        """Return the statistics of features ``[N, D]``; `update` says what it raises."""
        found = cls()
        found.update(features)
        return found

    def update(self, features: Tensor) -> None:
        """Add feature vectors.

        Args:
            features: ``[N, D]``, of any float dtype and on any device.

        Raises:
            TypeError: ``features`` isn't a floating-point tensor.
            ValueError: ``features`` has another shape, or another D than before.
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
        # Chan, Golub & LeVeque 1979: exact, without the cancellation of E[xxᵀ] - E[x]E[x]ᵀ.
        if self.count:
            total = self.count + len(x)
            step = mean - self.mean
            scatter += self._scatter + torch.outer(step, step) * (self.count * len(x) / total)
            mean = self.mean + step * (len(x) / total)
        self.count += len(x)
        self.mean, self._scatter = mean, scatter

    @property
    def covariance(self) -> Tensor:
        """Unbiased covariance (divided by ``count - 1``), float64 ``[D, D]``.

        Raises:
            ValueError: there are fewer than 2 vectors.
        """
        if self.count < 2:
            raise ValueError(f"A covariance needs at least 2 feature vectors, got {self.count}.")
        return self._scatter / (self.count - 1)

    def distance(self, other: FeatureStatistics) -> float:
        """Return the Fréchet distance from other statistics, as `frechet_distance` does."""
        return frechet_distance(self.mean, self.covariance, other.mean, other.covariance)


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """Compute the squared 2-Wasserstein distance between two normal distributions in float64.

    The distance is ``|μa - μb|² + tr A + tr B - 2 tr √(A B)`` (Dowson & Landau 1982; Heusel et al.
    2017), at least 0. ``tr √(A B)`` is computed as the sum of the singular values of ``√A √B``.
    So covariances may have any rank, and no root of an unsymmetric matrix is needed.

    Args:
        mean_a: ``[D]``, of any float dtype.
        cov_a: ``[D, D]``, symmetric and positive semidefinite but for rounding.
        mean_b: ``[D]``.
        cov_b: ``[D, D]``, like ``cov_a``.

    Raises:
        TypeError: an argument isn't a floating-point tensor.
        ValueError: the shapes don't fit.
        NonFiniteError: a value is infinite or NaN.
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
    """Return R ``[D, rank]`` with ``R Rᵀ = covariance``, a root without its null space."""
    values, vectors = torch.linalg.eigh(covariance)
    # Eigenvalues of null directions are rounding errors of 1e-16, whose roots of 1e-8 would count.
    nonzero = values > values.abs().max() * len(values) * torch.finfo(torch.float64).eps
    return vectors[:, nonzero] * values[nonzero].sqrt()
