"""A chain and a network of ops for tests of lean dispatch, in one process and in several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan import ops


def leaves() -> list[Tensor]:
    """Return an image, a scale per channel and a bias."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator).requires_grad_()
        for shape in ((2, 4, 5, 5), (2, 4), (4,))
    ]


def chain(x: Tensor, scale: Tensor, b: Tensor, gain: float = 1.5) -> Tensor:
    """Return a chain of ops, with every kind of derivative: curved, bilinear, linear."""
    y = ops.bias_act(x, b, act="swish", gain=gain)
    y = ops.scale_bias_act(y, scale, None, b, act="tanh")
    return ops.pixel_norm(ops.upsample2d(y, torch.ones(3) / 3)).exp().sum()


class Layers(nn.Module):
    """The chain as a network with parameters."""

    def __init__(self) -> None:
        super().__init__()
        _, scale, b = leaves()
        self.scale, self.b = nn.Parameter(scale.detach()), nn.Parameter(b.detach())

    def forward(self, x: Tensor) -> Tensor:
        return chain(x, self.scale, self.b)
