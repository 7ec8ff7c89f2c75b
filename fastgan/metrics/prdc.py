"""Precision and recall, density and coverage: how faithful samples are, and how much of the data they cover."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, require_finite

PRECISION_NEIGHBOUR, DENSITY_NEIGHBOUR = 3, 5
_ROWS = 1024  # of distances at a time, so that memory stays bounded


class PRDC(NamedTuple):
    """All higher is better. precision, recall, coverage: shares, from 0 to 1. density: from 0, 1 for the real set itself.

    precision: of the samples that lie within the real images. recall: of the real images that lie within the samples.
    density: as precision, but counting in how many real neighbourhoods a sample lies, so that outliers among the real
    images weigh little. coverage: of the real images that have a sample in their neighbourhood.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(
    real: Tensor,
    fake: Tensor,
    *,
    precision_neighbour: int = PRECISION_NEIGHBOUR,
    density_neighbour: int = DENSITY_NEIGHBOUR,
) -> PRDC:
    """Precision, recall (Kynkäänniemi et al. 2019), density, coverage (Naeem et al. 2020) of feature vectors, in float64.

    Around each vector lies a ball that reaches to its k-th nearest neighbour in its own set, r_k. Precision is the share
    of samples in any ball of a real one, recall that of real ones in any ball of a sample (k = 3). Density is
    ``Σ_ij [|fakeⱼ - realᵢ| ≤ r_k(realᵢ)] / kM``, coverage the share of real ones with a sample in their ball (k = 5).
    All depend on the sizes of the sets: compare only figures of equal ones.

    Args:
        real, fake: ``[N, D]`` and ``[M, D]``, more vectors than neighbours in each, any float dtype.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: wrong shapes, too few vectors, or a neighbour below 1; NonFiniteError for
            infinite or NaN values.
    """
    check_floating("[N, D]", real=real, fake=fake)
    most = max(precision_neighbour, density_neighbour)
    if min(precision_neighbour, density_neighbour) < 1:
        raise ValueError(
            f"neighbours must be at least 1, got {precision_neighbour} and {density_neighbour}"
        )
    if (
        real.ndim != 2
        or fake.ndim != 2
        or real.shape[1] != fake.shape[1]
        or min(len(real), len(fake)) <= most
    ):
        raise ValueError(
            f"features must be [N, D] and [M, D] with N and M above {most}, got {list(real.shape)} and "
            f"{list(fake.shape)}"
        )
    require_finite("precision, recall, density and coverage", real=real, fake=fake)
    real, fake = real.double(), fake.double()
    ks = (precision_neighbour, density_neighbour)
    real_radii, real_balls = _radii(real, ks)
    fake_radii, _ = _radii(fake, ks)
    faithful = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    covered, recalled, hits = [], [], 0
    for start in range(0, len(real), _ROWS):
        rows = slice(start, start + _ROWS)
        distances = torch.cdist(real[rows], fake)
        faithful |= (distances <= real_radii[rows, None]).any(dim=0)
        recalled.append((distances <= fake_radii).any(dim=1))
        inside = distances <= real_balls[rows, None]
        covered.append(inside.any(dim=1))
        hits += int(inside.sum())
    return PRDC(
        precision=_share(faithful),
        recall=_share(torch.cat(recalled)),
        density=hits / (density_neighbour * len(fake)),
        coverage=_share(torch.cat(covered)),
    )


def _radii(x: Tensor, ks: tuple[int, int]) -> list[Tensor]:
    """For each k the distance ``[N]`` of each vector to the k-th nearest other one."""
    nearest = []
    for start in range(0, len(x), _ROWS):
        distances = torch.cdist(x[start : start + _ROWS], x)
        own = torch.arange(len(distances), device=x.device)
        distances[own, start + own] = torch.inf
        nearest.append(distances.topk(max(ks), largest=False).values)
    together = torch.cat(nearest)
    return [together[:, k - 1] for k in ks]


def _share(flags: Tensor) -> float:
    return flags.double().mean().item()
