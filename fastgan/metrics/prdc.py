"""Precision and density, recall and coverage: fidelity of samples, and their share of the data."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.metrics.checks import check_floating, require_finite

PRECISION_NEIGHBOUR, DENSITY_NEIGHBOUR = 3, 5
"""Defaults of k for precision and recall, and for density and coverage."""
# Rows of distances at a time, which bounds the memory.
_ROWS = 1024


class PRDC(NamedTuple):
    """Precision, recall, density and coverage; higher is better."""

    precision: float
    """Share of the samples within the real images, 0 to 1."""
    recall: float
    """Share of the real images within the samples, 0 to 1."""
    density: float
    """Mean number of real neighbourhoods of a sample, over k: at least 0, about 1 for real images.

    Outliers among the real images weigh less than in precision.
    """
    coverage: float
    """Share of the real images with a sample in their neighbourhood, 0 to 1."""


def prdc(
    real: Tensor,
    fake: Tensor,
    *,
    precision_neighbour: int = PRECISION_NEIGHBOUR,
    density_neighbour: int = DENSITY_NEIGHBOUR,
) -> PRDC:
    """Compute precision, recall, density and coverage of feature vectors, in float64.

    The ball of a vector reaches to its k-th nearest neighbour in its own set, r_k.

    - Precision is the share of samples in the ball of any real vector (Kynkäänniemi et al. 2019).
    - Recall is the share of real vectors in the ball of any sample.
    - Density is ``Σ_ij [|fakeⱼ - realᵢ| ≤ r_k(realᵢ)] / kM`` (Naeem et al. 2020).
    - Coverage is the share of real vectors with a sample in their ball.

    All depend on the sizes of the sets: compare only results of equal sizes.

    Args:
        real: ``[N, D]``, N larger than both k, of any float dtype.
        fake: ``[M, D]``, M larger than both k, of any float dtype.
        precision_neighbour: k of precision and recall, at least 1.
        density_neighbour: k of density and coverage, at least 1.

    Raises:
        TypeError: an argument isn't a floating-point tensor.
        ValueError: the shapes don't fit, there are too few vectors, or a neighbour is below 1.
        NonFiniteError: a value is infinite or NaN.
    """
    check_floating("[N, D]", real=real, fake=fake)
    most = max(precision_neighbour, density_neighbour)
    if min(precision_neighbour, density_neighbour) < 1:
        raise ValueError(
            f"precision_neighbour and density_neighbour must be at least 1, "
            f"got {precision_neighbour} and {density_neighbour}"
        )
    if (
        real.ndim != 2
        or fake.ndim != 2
        or real.shape[1] != fake.shape[1]
        or min(len(real), len(fake)) <= most
    ):
        raise ValueError(
            f"real and fake must be [N, D] and [M, D] with N and M above {most}, "
            f"got {list(real.shape)} and {list(fake.shape)}"
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
    """Return, for each k, the distance ``[N]`` of each vector to its k-th nearest other one."""
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
