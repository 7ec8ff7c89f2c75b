"""Kernel distance between two sets of feature vectors; with Inception's features it is KID."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, require_finite

SUBSETS, SUBSET_SIZE = 100, 1000
"""Default number and size of the subsets."""


class KernelDistance(NamedTuple):
    """Kernel distance over subsets."""

    mean: float
    """Mean over the subsets; around 0, also below, for equal distributions."""
    std: float
    """Standard deviation over the subsets."""


def kernel_distance(
    features_a: Tensor,
    features_b: Tensor,
    *,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    seed: int = 0,
) -> KernelDistance:
    """Average the squared maximum mean discrepancy over random subsets, in float64.

    It is unbiased (Bińkowski et al. 2018), unlike the Fréchet distance, so sets of different sizes
    can be compared.

    Args:
        features_a: ``[N, D]``, N at least 2, of any float dtype.
        features_b: ``[M, D]``, M at least 2, of any float dtype.
        subsets: number of subsets, at least 1, each drawn without repetition from both sets.
        subset_size: vectors of each set in a subset, at least 2; all of a smaller set.
        seed: seed of the subsets.

    Raises:
        TypeError: an argument isn't a floating-point tensor.
        ValueError: the shapes don't fit, there are too few vectors, or ``subsets`` or
            ``subset_size`` is out of range.
        NonFiniteError: a value is infinite or NaN.
    """
    if subsets < 1 or subset_size < 2:
        raise ValueError(
            f"subsets must be at least 1 and subset_size at least 2, "
            f"got {subsets} and {subset_size}"
        )
    _check(features_a=features_a, features_b=features_b)
    generator = torch.Generator().manual_seed(seed)
    size = min(subset_size, len(features_a), len(features_b))

    def subset(features: Tensor) -> Tensor:
        return features[
            torch.randperm(len(features), generator=generator)[:size].to(features.device)
        ]

    distances = [polynomial_mmd(subset(features_a), subset(features_b)) for _ in range(subsets)]
    values = torch.tensor(distances, dtype=torch.float64)
    return KernelDistance(values.mean().item(), values.std(correction=0).item())


def polynomial_mmd(a: Tensor, b: Tensor) -> float:
    """Estimate MMD² under the kernel ``k(x, y) = (x·y / D + 1)³``, in float64.

    The unbiased estimate of Gretton et al. 2012, lemma 6::

        Σ_{i≠j} k(aᵢ, aⱼ) / N(N-1) + Σ_{i≠j} k(bᵢ, bⱼ) / M(M-1) - 2 Σ_{ij} k(aᵢ, bⱼ) / NM

    Args:
        a: ``[N, D]``, N at least 2, of any float dtype.
        b: ``[M, D]``, M at least 2, of any float dtype.

    Raises:
        TypeError: an argument isn't a floating-point tensor.
        ValueError: the shapes don't fit, or there are fewer than 2 vectors.
        NonFiniteError: a value is infinite or NaN.
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
    """Return the mean of k over all pairs of two different rows."""
    values = _kernel(x, x)
    return (values.sum() - values.diagonal().sum()) / (len(x) * (len(x) - 1))
