"""Style mixing (Karras et al. 2019, section 3.1): an image's styles are another z's from some layer on."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.recipes.base import Draw


def draw_mixing(draw: Draw, z_dim: int, share: float) -> dict[str, Tensor]:
    """Rows "z_mixed" `[N, z_dim]`, standard normal, and "crossover" `[N]`.

    The second says from where on, from 0 to 1, its styles are used; it is 1, nowhere, but for a `share` of the images.
    """
    z = torch.randn(draw.count, z_dim, generator=draw.generator)
    mixed = torch.rand(draw.count, generator=draw.generator) < share
    crossover = torch.rand(draw.count, generator=draw.generator)
    return {"z_mixed": z, "crossover": torch.where(mixed, crossover, torch.ones(()))}


def mixed_styles(ws: Tensor, others: Tensor, crossover: Tensor, layers: int) -> Tensor:
    """`ws` `[N, num_ws, w_dim]` with `others` from `crossover` of the first `layers` on.

    The first layer always has its own; the last of `layers` may be the only one that hasn't.
    """
    first = 1 + (crossover * (layers - 1)).long()
    own = torch.arange(ws.shape[1], device=ws.device) < first[:, None]
    return torch.where(own[..., None], ws, others)
