from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.networks.stylegan2 import StyleGAN2Generator

_CHUNK = 1000


class WStatistics(NamedTuple):
    """mean: of w, float32 ``[w_dim]``. std: ``√E‖w - mean‖²``, how far w lies from it."""

    mean: Tensor
    std: float


@torch.no_grad()
def estimate_w_avg(
    G: StyleGAN2Generator,
    samples: int = 10_000,
    *,
    labels: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> WStatistics:
    """The mean and the spread of w over random z, in place of the moving average that training leaves.

    With ``labels`` it is the mean of one class, to truncate towards. Karras et al. 2020, appendix D
    takes 10,000 samples.

    Args:
        samples: how many z, at least 2.
        labels: of all samples, ``[1, c_dim]`` or int64 ``[1]``; None draws a class for each sample
            if G takes one.
        generator: on the CPU, for z and classes; None draws from torch's own.

    Raises:
        ValueError: fewer than two samples.
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
    G: StyleGAN2Generator, n: int, labels: Tensor | None, generator: torch.Generator | None
) -> Tensor | None:
    if G.c_dim == 0:
        return None
    if labels is None:
        labels = torch.randint(G.c_dim, (n,), generator=generator)
    return labels.to(next(G.parameters()).device).expand(n, *labels.shape[1:])
