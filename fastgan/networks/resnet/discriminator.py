"""Discriminator of SNGAN, SAGAN and BigGAN.

Residual blocks are followed by a sum over positions and a projection of the class.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.labels import check_classes
from fastgan.networks.resnet.blocks import ClassVectors, DownBlock, linear, relu
from fastgan.networks.resnet.widths import D_HALVINGS, D_WIDTHS, attention_after, scaled
from fastgan.nn import SelfAttention2d


class ResNetDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` in [-1, 1] to logits ``[N]``.

    The logit is ⟨v_y, h⟩ + ⟨w, h⟩ + b (Miyato and Koyama 2018). h is the sum of the last features
    over positions, and y is the class. The papers normalise all weights, the v_y as one
    matrix, by :func:`fastgan.nn.apply_spectral_norm`.

    Args:
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``.
        ndf: channels after the first block; twice as many in all blocks up to 32×32.
        attention: resolution of the features under self-attention; None for none.
        wide: give a block's first convolution as many channels as its second (Brock et al. 2019,
            appendix B) instead of as many as its input.

    Raises:
        ValueError: an argument is out of range, images have another shape, or labels are missing,
            not wanted, out of range or of another shape.
    """

    def __init__(
        self,
        resolution: int = 32,
        channels: int = 3,
        *,
        c_dim: int = 0,
        ndf: int = 64,
        attention: int | None = None,
        wide: bool = False,
    ) -> None:
        super().__init__()
        check_at_least(1, channels=channels, ndf=ndf)
        check_at_least(0, c_dim=c_dim)
        self.c_dim, self.image_shape = c_dim, (channels, resolution, resolution)
        widths = [channels, *scaled(D_WIDTHS, resolution, ndf)]
        halvings = D_HALVINGS[resolution]
        self.blocks = nn.ModuleList(
            DownBlock(a, b, hidden=b if wide or i == 0 else a, down=i < halvings, first=i == 0)
            for i, (a, b) in enumerate(pairwise(widths))
        )
        sizes = [resolution >> min(i + 1, halvings) for i in range(len(self.blocks))]
        self.attends_after = attention_after(attention, sizes)
        if self.attends_after is not None:
            self.attention = SelfAttention2d(widths[self.attends_after + 1])
        self.out = linear(widths[-1], 1)
        self.classes = ClassVectors(c_dim, widths[-1]) if c_dim else None

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the input of the last layer, ``[N, C]``; it does not depend on labels."""
        check_shape("images", images, *self.image_shape)
        x = images
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == self.attends_after:
                x = self.attention(x)
        return relu(x).sum((2, 3))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.features(images)
        check_classes(labels, self.c_dim, images.shape[0])
        logits: Tensor = self.out(features).squeeze(1)
        if self.classes is not None:
            logits = logits + (self.classes(labels) * features).sum(1)
        return logits
