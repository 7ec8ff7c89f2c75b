"""Style mixing: styles of another z from some layer on (Karras et al. 2019, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fastgan.recipes.noise_batch import NoiseBatch
from fastgan.recipes.players import ABSENT, DrawRequest


@dataclass(frozen=True)
class StyleBatch(NoiseBatch):
    """Batch with styles of a second z.

    Attributes:
        mixed_noise: z of the styles from `crossover` on, float32 `[N, z_dim]`.
        crossover: place of the first such style, from 0 to 1 (no style), float32 `[N]`.
    """

    mixed_noise: Tensor = ABSENT
    crossover: Tensor = ABSENT


def draw_mixing(request: DrawRequest, z_dim: int, share: float) -> dict[str, Tensor]:
    """Draw `mixed_noise` `[N, z_dim]`, standard normal, and `crossover` `[N]`.

    The crossover is from 0 to 1 for a `share` of the images. It is 1, no mixing, for the others.
    """
    z = torch.randn(request.count, z_dim, generator=request.generator)
    mixed = torch.rand(request.count, generator=request.generator) < share
    crossover = torch.rand(request.count, generator=request.generator)
    return {"mixed_noise": z, "crossover": torch.where(mixed, crossover, torch.ones(()))}


def mixed_styles(ws: Tensor, others: Tensor, crossover: Tensor, layers: int) -> Tensor:
    """Return `ws` with the styles of `others` from a crossover layer on.

    The first layer always keeps its own style.

    Args:
        ws: styles `[N, num_ws, w_dim]`.
        others: styles of another z, `[N, num_ws, w_dim]`.
        crossover: crossover layer of each image as a share of `layers`, float32 `[N]`; 1 for no
            mixing.
        layers: number of layers in use.
    """
    last = crossover * (layers - 1)
    own = torch.arange(ws.shape[1], device=ws.device) <= last[:, None]
    return torch.where(own[..., None], ws, others)
