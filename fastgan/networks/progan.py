"""Generator and discriminator of progressive growing (Karras et al. 2018, section 4 and table 2).

All layers have an equalised learning rate, leaky ReLU with a gain of √2, and biases that start at
zero. Features are in channels_last, the fastest layout for the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.growing import Growing, repeat_pixels
from fastgan.networks.labels import label_rows, no_labels
from fastgan.networks.stylegan2 import channels_at
from fastgan.networks.stylegan2._sizes import check_sizes
from fastgan.nn import (
    BiasAct,
    Downsample2d,
    EqualConv2d,
    EqualLinear,
    MinibatchStddev,
    PixelNorm,
)
from fastgan.ops import pixel_norm

__all__ = ["ProGANDiscriminator", "ProGANGenerator"]

Taps = Sequence[float]


class GrowingGenerator(Growing):
    """Base of growing generators: an image at every level from the features of its block."""

    def __init__(
        self, channels: int, lowest: int, resolution: int, channel_base: int, channel_max: int
    ) -> None:
        super().__init__(channels, lowest, resolution)
        widths = [channels_at(r, channel_base, channel_max) for r in self.resolutions]
        self.torgb = nn.ModuleList(EqualConv2d(width, channels, 1) for width in widths)

    def image(self, below: Tensor | None, features: Tensor, *, enlarge: bool) -> Tensor:
        """Return the image of the current level, faded from that of the level below.

        Args:
            below: features of the level below; None at level 0.
            features: features of the current level.
            enlarge: repeat pixels up to the full resolution.
        """
        image: Tensor = self.torgb[self.level](features)
        if self.level:
            assert below is not None
            image = self.blend(repeat_pixels(self.torgb[self.level - 1](below), 2), image)
        return self.enlarge(image) if enlarge else image


class ProGANGenerator(GrowingGenerator):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]``, around [-1, 1].

    Only the direction of z counts. An embedding of labels is normalised likewise and appended. A
    linear layer makes 4×4 pixels and a 3×3 convolution follows. Each higher resolution repeats the
    pixels and has two 3×3 convolutions. :func:`fastgan.ops.pixel_norm` follows each layer.

    Args:
        resolution: a power of two from 8 to 1024.
        channels: channels of the images, 1 to 4.
        z_dim: length of z.
        c_dim: number of classes, or length of other labels; 0 for none.
        channel_base, channel_max: feature maps at resolution ``r`` are
            ``min(channel_base // r, channel_max)``.

    Raises:
        ValueError: an argument is out of range, or z or labels have another shape.
    """

    def __init__(
        self,
        resolution: int = 1024,
        channels: int = 3,
        *,
        z_dim: int = 512,
        c_dim: int = 0,
        channel_base: int = 16384,
        channel_max: int = 512,
    ) -> None:
        check_sizes(resolution, channels, channel_base, channel_max, (4, 4))
        check_at_least(1, z_dim=z_dim)
        check_at_least(0, c_dim=c_dim)
        super().__init__(channels, 4, resolution, channel_base, channel_max)
        self.z_dim, self.c_dim = z_dim, c_dim
        widths = [channels_at(r, channel_base, channel_max) for r in self.resolutions]
        self.embed = EqualLinear(c_dim, z_dim) if c_dim else None
        self.fc = EqualLinear(z_dim * (2 if c_dim else 1), widths[0] * 16, bias=False)
        first = [BiasAct(widths[0], act="lrelu"), PixelNorm(), *_convolution(widths[0], widths[0])]
        self.blocks = nn.ModuleList([nn.Sequential(*first)])
        for i, width in enumerate(widths[1:]):
            layers = [*_convolution(widths[i], width, up=2), *_convolution(width, width)]
            self.blocks.append(nn.Sequential(*layers))

    def forward(self, z: Tensor, labels: Tensor | None = None, *, enlarge: bool = True) -> Tensor:
        """Return images ``[N, channels, resolution, resolution]``, not clipped to [-1, 1].

        Args:
            z: ``[N, z_dim]``, standard normal.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
            enlarge: False returns images at the current resolution.
        """
        check_shape("z", z, self.z_dim)
        parts = [pixel_norm(z)]
        if self.embed is None:
            no_labels(labels)
        else:
            parts.append(
                pixel_norm(self.embed(label_rows(labels, self.c_dim, z.shape[0]).to(z.dtype)))
            )
        x: Tensor = self.fc(torch.cat(parts, 1)).unflatten(1, (-1, 4, 4))
        x = x.contiguous(memory_format=torch.channels_last)
        below = None
        for block in list(self.blocks)[: self.level + 1]:
            below, x = x, block(x)
        return self.image(below, x, enlarge=enlarge)


def _convolution(in_channels: int, out_channels: int, *, up: int = 1) -> list[nn.Module]:
    """Return a 3×3 convolution with leaky ReLU, and pixel norm."""
    return [
        EqualConv2d(in_channels, out_channels, 3, act="lrelu", up=up, resample_filter=(1, 1)),
        PixelNorm(),
    ]


class ProGANDiscriminator(Growing):
    """Map images ``[N, channels, resolution, resolution]`` in [-1, 1] to logits ``[N]``.

    Each resolution has two 3×3 convolutions and halves their output. At 4×4
    :func:`fastgan.ops.minibatch_stddev`, a 3×3 convolution and two linear layers follow.
    ``fromrgb`` turns images into features, at the current level and at the one below. Images have
    the full or the current resolution. With labels there is a logit per class, and that of the
    label is returned.

    Args:
        resolution: a power of two from 8 to 1024.
        channels: channels of the images, 1 to 4.
        c_dim: number of classes, or length of other labels; 0 for none.
        channel_base, channel_max: feature maps at resolution ``r`` are
            ``min(channel_base // r, channel_max)``.
        group_size: samples that are compared; the batch is a multiple of it, or smaller.
        lowest: resolution of level 0, 4 or 8.
        resample_filter: taps of the filter in front of halving; (1, 1) averages 2×2 pixels.

    Raises:
        ValueError: an argument is out of range, images or labels have another shape, or groups
            don't divide the batch.
    """

    def __init__(
        self,
        resolution: int = 1024,
        channels: int = 3,
        *,
        c_dim: int = 0,
        channel_base: int = 16384,
        channel_max: int = 512,
        group_size: int = 16,
        lowest: int = 4,
        resample_filter: Taps = (1, 1),
    ) -> None:
        check_sizes(resolution, channels, channel_base, channel_max, (4, 4))
        check_at_least(0, c_dim=c_dim)
        check_at_least(1, group_size=group_size)
        check_choice("lowest", lowest, (4, 8))
        super().__init__(channels, lowest, resolution)
        self.config: dict[str, Any] = {
            "resolution": resolution, "channels": channels, "c_dim": c_dim,
            "channel_base": channel_base, "channel_max": channel_max,
            "group_size": group_size, "lowest": lowest, "resample_filter": resample_filter,
        }  # fmt: skip
        self.c_dim = c_dim

        def width(r: int) -> int:
            return channels_at(r, channel_base, channel_max)

        self.fromrgb = nn.ModuleList(
            EqualConv2d(channels, width(r), 1, act="lrelu") for r in self.resolutions
        )
        options: dict[str, Any] = {"act": "lrelu"}
        # From 8×8 up.
        self.blocks = nn.ModuleList(
            nn.Sequential(
                EqualConv2d(width(r), width(r), 3, **options),
                EqualConv2d(width(r), width(r // 2), 3, **options),
                Downsample2d(resample_filter),
            )
            for r in self.resolutions
            if r > 4
        )
        last = width(4)
        self.epilogue = nn.Sequential(
            MinibatchStddev(group_size),
            EqualConv2d(last + 1, last, 3, **options),
            nn.Flatten(),
            EqualLinear(last * 16, last, **options),
            EqualLinear(last, max(1, c_dim)),
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits ``[N]``.

        Args:
            images: ``[N, channels, R, R]``, where R is the full or the current resolution.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
        """
        images = self.shrink(images).contiguous(memory_format=torch.channels_last)
        x: Tensor = self.fromrgb[self.level](images)
        above_4 = len(self.blocks) - len(self.resolutions) + self.level + 1
        for i in reversed(range(above_4)):
            x = self.blocks[i](x)
            if i == above_4 - 1 and self.level:
                x = self.blend(self.fromrgb[self.level - 1](nn.functional.avg_pool2d(images, 2)), x)
        logits: Tensor = self.epilogue(x)
        if self.c_dim:
            return (logits * label_rows(labels, self.c_dim, images.shape[0]).to(logits.dtype)).sum(
                1
            )
        no_labels(labels)
        return logits[:, 0]
