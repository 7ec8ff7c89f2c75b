"""Generator and discriminator of StarGAN, one network for all domains.

Choi et al. 2018, tables 4 and 5.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.labels import no_labels
from fastgan.networks.protocol import DiscriminatorOutput
from fastgan.networks.translation.layers import (
    ImageConv2d,
    ResidualBlock,
    as_input,
    norm_act,
)
from fastgan.nn import Conv2d

LEAK = 0.01
"""Slope of D's LeakyReLU."""


class StarGANGenerator(nn.Module):
    """Map images ``[N, channels, H, W]`` in [-1, 1] and target attributes to images of that shape.

    Attributes ``[N, c_dim]`` become planes beside the image. Layers are a 7×7 convolution, two 4×4
    of stride 2, residual blocks, two transposed ones, and a 7×7 convolution with tanh. All are
    padded with zeros. Affine instance norm and ReLU follow all but the last.

    Args:
        channels: channels of the images.
        c_dim: number of attributes; 5 in the paper's figures.
        ngf: channels after the first layer.
        blocks: number of residual blocks.
        skip: give the first layer a bias in place of the norm, and pass its features to the last
            layer too. The norm would reduce planes and flat colours to their edges. The paper has
            no skip.

    Raises:
        ValueError: an argument is out of range, or images (with sides that are multiples of 4) or
            attributes have another shape.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        c_dim: int = 5,
        ngf: int = 64,
        blocks: int = 6,
        skip: bool = False,
    ) -> None:
        super().__init__()
        check_at_least(1, channels=channels, c_dim=c_dim, ngf=ngf)
        check_at_least(0, blocks=blocks)
        self.channels, self.c_dim, self.skip = channels, c_dim, skip

        def norm(width: int) -> nn.Module:
            return norm_act("instance", width, "relu", affine=True)

        self.first = nn.Sequential(
            Conv2d(channels + c_dim, ngf, 7, padding=3, bias=False),
            norm_act("none", ngf, "relu") if skip else norm(ngf),
        )
        layers: list[nn.Module] = []
        for a, b in pairwise((ngf, 2 * ngf, 4 * ngf)):
            layers += [Conv2d(a, b, 4, 2, 1, bias=False), norm(b)]
        layers += [ResidualBlock(4 * ngf, affine=True, padding_mode="zeros") for _ in range(blocks)]
        for a, b in pairwise((4 * ngf, 2 * ngf, ngf)):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), norm(b)]
        self.layers = nn.Sequential(*layers)
        self.last = ImageConv2d(
            2 * ngf if skip else ngf, channels, bias=False, padding_mode="zeros"
        )

    def forward(self, images: Tensor, attributes: Tensor) -> Tensor:
        images = as_input(images, "StarGAN's images", self.channels, 4, least=8)
        check_shape("attributes", attributes, self.c_dim, count=images.shape[0], floating=False)
        planes = attributes.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        x = torch.cat([images, planes], 1).contiguous(memory_format=torch.channels_last)
        features = self.first(x)
        x = self.layers(features)
        result: Tensor = self.last(torch.cat([x, features], 1) if self.skip else x)
        return result


class StarGANDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` to logits of patches and of attributes.

    The output is a :class:`fastgan.networks.DiscriminatorOutput` with ``logits``
    ``([N, 1, h, w],)`` and ``class_logits`` ``[N, c_dim]``. 4×4 convolutions of stride 2 with
    LeakyReLU(0.01) and without norm lead down to 2×2 pixels. There are at most six of them, and
    each doubles the channels.

    Args:
        resolution: a power of 2, at least 8.
        channels: channels of the images.
        c_dim: number of attributes.
        ndf: channels after the first layer.

    Raises:
        ValueError: an argument is out of range, images have another shape, or labels are passed.
    """

    def __init__(
        self, resolution: int = 128, channels: int = 3, *, c_dim: int = 5, ndf: int = 64
    ) -> None:
        super().__init__()
        check_at_least(8, resolution=resolution)
        if resolution & (resolution - 1):
            raise ValueError(f"resolution must be a power of 2 of at least 8, got {resolution}")
        check_at_least(1, channels=channels, c_dim=c_dim, ndf=ndf)
        self.resolution, self.channels = resolution, channels
        halvings = min(resolution.bit_length() - 2, 6)
        widths = [channels, *(ndf * 2**i for i in range(halvings))]
        self.layers = nn.Sequential(
            *(Conv2d(a, b, 4, 2, 1, act="lrelu", alpha=LEAK) for a, b in pairwise(widths))
        )
        self.patches = Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.attributes = Conv2d(widths[-1], c_dim, resolution >> halvings, bias=False)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the input of both last layers, ``[N, C, h, w]``."""
        no_labels(labels)
        x = as_input(images, "StarGAN's images", self.channels, kernel=4)
        if list(x.shape[2:]) != [self.resolution] * 2:
            size = f"{self.resolution}×{self.resolution}"
            raise ValueError(
                f"StarGAN's images must be {size}, got {x.shape[2]}×{x.shape[3]}; resize them"
            )
        features: Tensor = self.layers(x)
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        x = self.features(images, labels)
        return DiscriminatorOutput((self.patches(x),), class_logits=self.attributes(x).flatten(1))
