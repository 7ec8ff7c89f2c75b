"""Style mixing (Karras et al. 2019, section 3.1): an image's styles are another z's from some layer on."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.recipes.players import DrawRequest


def draw_mixing(request: DrawRequest, z_dim: int, share: float) -> dict[str, Tensor]:
    """Draw `mixed_noise` `[N, z_dim]`, standard normal, and `crossover` `[N]`.

    The crossover is from 0 to 1 for a `share` of the images. It is 1, no mixing, for the others.
    """
    z = torch.randn(request.count, z_dim, generator=request.generator)
    mixed = torch.rand(request.count, generator=request.generator) < share
    crossover = torch.rand(request.count, generator=request.generator)
    return {"mixed_noise": z, "crossover": torch.where(mixed, crossover, torch.ones(()))}


def mixed_styles(ws: Tensor, others: Tensor, crossover: Tensor, layers: int) -> Tensor:
    """`ws` `[N, num_ws, w_dim]` with `others` from `crossover` of the first `layers` on.

    The first layer always has its own; the last of `layers` may be the only one that hasn't.
    """
    first = 1 + (crossover * (layers - 1)).long()
    own = torch.arange(ws.shape[1], device=ws.device) < first[:, None]
    return torch.where(own[..., None], ws, others)
