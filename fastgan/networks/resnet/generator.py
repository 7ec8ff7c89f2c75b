"""Generator of SNGAN and, with attention, of SAGAN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.labels import check_classes
from fastgan.networks.resnet.blocks import NormReLU, UpBlock, conv3x3, linear
from fastgan.networks.resnet.widths import G_WIDTHS, attention_after, scaled
from fastgan.nn import SelfAttention2d


class Upsampling(nn.Module):
    """Map a vector and a condition per block to images.

    A linear layer to 4×4, blocks that double the resolution, batch norm, ReLU, a convolution and
    tanh.

    Args:
        resolution: one of ``RESOLUTIONS``.
        channels: channels of the images.
        first_dim: length of the vector.
        norm: constructor of a block's :class:`NormReLU` for a number of channels.
        ngf: channels, in the unit of ``G_WIDTHS``.
        attention: resolution of the block that self-attention follows; None for none.

    Raises:
        ValueError: an argument is out of range.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = ("blocks",)
    """Lists whose last layers networks of other resolutions share."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        first_dim: int,
        norm: Callable[[int], NormReLU],
        *,
        ngf: int,
        attention: int | None,
    ) -> None:
        super().__init__()
        widths = scaled(G_WIDTHS, resolution, ngf)
        self.start = linear(first_dim, 16 * widths[0])
        self.blocks = nn.ModuleList(UpBlock(a, b, norm) for a, b in pairwise(widths))
        self.attends_after = attention_after(attention, [8 << i for i in range(len(self.blocks))])
        if self.attends_after is not None:
            self.attention = SelfAttention2d(widths[self.attends_after + 1])
        self.norm = NormReLU(widths[-1])
        self.out = conv3x3(widths[-1], channels, act="tanh")

    def forward(self, first: Tensor, conditions: Sequence[Tensor | None]) -> Tensor:
        """Return images.

        Args:
            first: ``[N, first_dim]``.
            conditions: condition of each block's norms.
        """
        x = self.start(first).unflatten(1, (-1, 4, 4))
        for i, (block, condition) in enumerate(zip(self.blocks, conditions)):
            x = block(x, condition)
            if i == self.attends_after:
                x = self.attention(x)
        images: Tensor = self.out(self.norm(x))
        return images


class ResNetGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]`` in [-1, 1].

    Classes select the scale and shift of batch norms (Miyato and Koyama 2018, section 5; de Vries
    et al. 2017).

    Args:
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        z_dim: length of z.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``.
        ngf: channels at the image's resolution; 4 times as many everywhere up to 32×32.
        attention: resolution of the block that self-attention follows; None for none.

    Raises:
        ValueError: an argument is out of range, z has another shape, or labels are missing, not
            wanted, out of range or of another shape.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        *,
        z_dim: int = 128,
        c_dim: int = 0,
        ngf: int = 64,
        attention: int | None = None,
    ) -> None:
        super().__init__()
        check_at_least(1, channels=channels, z_dim=z_dim, ngf=ngf)
        check_at_least(0, c_dim=c_dim)
        self.z_dim, self.c_dim = z_dim, c_dim
        norm = partial(NormReLU, cond_dim=c_dim, embedding=True)
        self.layers = Upsampling(resolution, channels, z_dim, norm, ngf=ngf, attention=attention)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("z", z, self.z_dim)
        check_classes(labels, self.c_dim, z.shape[0])
        images: Tensor = self.layers(z, [labels] * len(self.layers.blocks))
        return images
