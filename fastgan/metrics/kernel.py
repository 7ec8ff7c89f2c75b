"""The kernel distance between two sets of feature vectors: with Inception's features it is KID."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, require_finite

SUBSETS, SUBSET_SIZE = 100, 1000


class KernelDistance(NamedTuple):
    """mean: over the subsets, around 0 or below for equal distributions. std: of one subset's value."""

    mean: float
    std: float


def kernel_distance(
    features_a: Tensor,
    features_b: Tensor,
    *,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    seed: int = 0,
) -> KernelDistance:
    """Squared maximum mean discrepancy, averaged over random subsets (Bińkowski et al. 2018), in float64.

    Unbiased, unlike the Fréchet distance, so sets of different sizes can be compared.

    Args:
        features_a, features_b: ``[N, D]`` and ``[M, D]``, at least 2 vectors each, any float dtype.
        subsets: how many, each drawn without repetition from both sets.
        subset_size: vectors of each set in one; all of a set that has fewer.
        seed: of the subsets: the same seed, the same result.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: wrong shapes, too few vectors, or ``subsets`` or ``subset_size`` too small;
            NonFiniteError for infinite or NaN values.
    """
    if subsets < 1 or subset_size < 2:
        raise ValueError(
            f"subsets must be at least 1 and subset_size at least 2, got {subsets} and {subset_size}"
        )
    _check(features_a=features_a, features_b=features_b)
    generator = torch.Generator().manual_seed(seed)
    size = min(subset_size, len(features_a), len(features_b))

    def subset(features: Tensor) -> Tensor:
        return features[
            torch.randperm(len(features), generator=generator)[:size].to(features.device)
        ]

    found = [polynomial_mmd(subset(features_a), subset(features_b)) for _ in range(subsets)]
    values = torch.tensor(found, dtype=torch.float64)
    return KernelDistance(values.mean().item(), values.std(correction=0).item())


def polynomial_mmd(a: Tensor, b: Tensor) -> float:
    """The unbiased estimate of MMD² under ``k(x, y) = (x·y / D + 1)³`` (Gretton et al. 2012, lemma 6), in float64.

    ``Σ_{i≠j} k(aᵢ, aⱼ) / N(N-1) + Σ_{i≠j} k(bᵢ, bⱼ) / M(M-1) - 2 Σ_{ij} k(aᵢ, bⱼ) / NM``

    Args:
        a, b: ``[N, D]`` and ``[M, D]``, at least 2 vectors each, any float dtype.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: wrong shapes, or fewer than 2 vectors; NonFiniteError for infinite or NaN values.
    """
    _check(a=a, b=b)
    a, b = a.double(), b.double()
    within = sum(_mean_of_pairs(x) for x in (a, b))
    return (within - 2 * _kernel(a, b).mean()).item()


def _check(**features: Tensor) -> None:
    check_floating("[N, D]", **features)
    a, b = features.values()
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(
            f"{' and '.join(features)} must be [N, D] and [M, D] with N and M at least 2, "
            f"got {list(a.shape)} and {list(b.shape)}"
        )
    require_finite("the kernel distance", **features)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_pairs(x: Tensor) -> Tensor:
    """The mean of k over all pairs of two different rows."""
    values = _kernel(x, x)
    return (values.sum() - values.diagonal().sum()) / (len(x) * (len(x) - 1))
