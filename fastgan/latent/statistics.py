"""Mean and spread of w."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.networks.stylegan3 import StyleGAN3Generator

_CHUNK = 1000


class WStatistics(NamedTuple):
    """Mean and spread of w."""

    mean: Tensor
    """Mean of w, float32 ``[w_dim]``."""
    std: float
    """``√E‖w - mean‖²``, the root mean square distance from the mean."""


@torch.no_grad()
def estimate_w_avg(
    G: StyleGAN2Generator | StyleGAN3Generator,
    samples: int = 10_000,
    *,
    labels: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> WStatistics:
    """Estimate mean and spread of w from random z, as an alternative to the moving average.

    With ``labels`` the mean is that of one class, to truncate towards. Karras et al. 2020, appendix
    D uses 10,000 samples.

    Args:
        G: the generator.
        samples: number of z, at least 2.
        labels: label of all samples, ``[1, c_dim]`` or int64 ``[1]``. None draws a class for each
            sample if G has classes.
        generator: CPU generator of random numbers; None means torch's own.

    Raises:
        ValueError: ``samples`` is below 2.
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2, got {samples}")
    device = next(G.parameters()).device
    total = torch.zeros(G.w_dim, dtype=torch.float64, device=device)
    squares = 0.0
    for start in range(0, samples, _CHUNK):
        n = min(_CHUNK, samples - start)
        z = torch.randn(n, G.z_dim, generator=generator).to(device)
        w = G.mapping(z, _labels(G, n, labels, generator))[:, 0].double()
        total += w.sum(0)
        squares += w.square().sum().item()
    mean = total / samples
    spread = max(0.0, squares / samples - mean.square().sum().item())
    return WStatistics(mean.float(), math.sqrt(spread))


def _labels(
    G: StyleGAN2Generator | StyleGAN3Generator,
    n: int,
    labels: Tensor | None,
    generator: torch.Generator | None,
) -> Tensor | None:
    if G.c_dim == 0:
        return None
    if labels is None:
        labels = torch.randint(G.c_dim, (n,), generator=generator)
    return labels.to(next(G.parameters()).device).expand(n, *labels.shape[1:])
