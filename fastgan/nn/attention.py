"""Self-attention over the positions of feature maps (Zhang et al. 2019)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.conv2d import Conv2d
from fastgan.ops._checks import check_at_least


class SelfAttention2d(nn.Module):
    """Self-attention with a residual connection, ``x + γ·attention(x)``.

    Zhang et al. 2019, section 3 and figure 2. Queries and keys have C/8 channels and values C/2,
    all from 1×1 convolutions without bias. Keys and values are max-pooled 2×2, which quarters the
    work, as in BigGAN (Brock et al. 2019). γ is learned and starts at 0, so the layer starts as the
    identity. It has the second derivatives that gradient penalties need: see
    :func:`fastgan.ops.attention`.

    Args:
        channels: C, at least 1; C/8 and C/2 are rounded down, to at least one channel.

    Shape:
        ``[N, C, H, W]`` with H and W of at least 2 → the same.

    Raises:
        ValueError: ``channels`` is out of range.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_at_least(1, channels=channels)
        keys, values = max(1, channels // 8), max(1, channels // 2)
        self.query = Conv2d(channels, keys, 1, bias=False)
        self.key = Conv2d(channels, keys, 1, bias=False)
        self.value = Conv2d(channels, values, 1, bias=False)
        self.out = Conv2d(values, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), F.max_pool2d(self.key(x), 2), F.max_pool2d(self.value(x), 2)
        taken = ops.attention(*(t.flatten(2).mT.contiguous() for t in (q, k, v)), scale=1.0)
        return x + self.gain * self.out(taken.mT.unflatten(2, x.shape[2:]))
