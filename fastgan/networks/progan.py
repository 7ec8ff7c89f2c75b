"""The networks of progressive growing (Karras et al. 2018, section 4 and table 2).

All layers have an equalised learning rate, leaky ReLU with its gain of √2, and biases that start at zero. Features are kept
in channels_last, the fastest layout of the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.networks.growing import Growing, repeated
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
    """What generators share: an image at every level, of the features of its highest block."""

    def __init__(
        self, channels: int, lowest: int, resolution: int, channel_base: int, channel_max: int
    ) -> None:
        super().__init__(channels, lowest, resolution)
        widths = [channels_at(r, channel_base, channel_max) for r in self.resolutions]
        self.torgb = nn.ModuleList(EqualConv2d(width, channels, 1) for width in widths)

    def image(self, below: Tensor | None, features: Tensor, *, enlarge: bool) -> Tensor:
        """The image of the current level, faded from that of the level below, whose features are ``below``."""
        image: Tensor = self.torgb[self.level](features)
        if self.level:
            assert below is not None
            image = self.blend(repeated(self.torgb[self.level - 1](below), 2), image)
        return self.enlarged(image) if enlarge else image


class ProGANGenerator(GrowingGenerator):
    """z ``[N, z_dim]`` → images ``[N, channels, resolution, resolution]``, around [-1, 1].

    z is taken by its direction; with labels, so is an embedding of them beside it. A linear layer makes 4×4 pixels, a 3×3
    convolution follows, and each resolution above repeats the pixels and has two more; the features of a pixel are
    normalised after each (:func:`fastgan.ops.pixel_norm`).

    Args:
        resolution: a power of two from 8 to 1024.
        channels: of the images, 1 to 4.
        z_dim: of z.
        c_dim: number of classes, or length of other labels; 0 for none.
        channel_base, channel_max: ``min(channel_base // r, channel_max)`` feature maps at resolution ``r``.

    Raises:
        ValueError: an argument is out of range; z or labels of another shape.
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
        check_sizes(
            resolution,
            channels,
            channel_base,
            (4, 4),
            {"channel_max": (channel_max, 1), "z_dim": (z_dim, 1)},
        )
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
        """
        Args:
            z: ``[N, z_dim]``, standard normal.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
            enlarge: False gives the images at the current resolution.

        Returns:
            ``[N, channels, resolution, resolution]``, not clipped to [-1, 1].
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"z must have shape [N, {self.z_dim}], got {list(z.shape)}")
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
    return [
        EqualConv2d(in_channels, out_channels, 3, act="lrelu", up=up, resample_filter=(1, 1)),
        PixelNorm(),
    ]


class ProGANDiscriminator(Growing):
    """Images ``[N, channels, resolution, resolution]`` in [-1, 1] → logits ``[N]``.

    Each resolution has two 3×3 convolutions and halves what they give; at 4×4 stand :func:`fastgan.ops.minibatch_stddev`, a
    3×3 convolution and two linear layers. ``fromrgb`` makes features of an image, at the current level and at the one below.
    Images come at the full resolution or at the current one. With labels there's a logit for every class, and that of the
    label counts.

    Args:
        resolution: a power of two from 8 to 1024.
        channels: of the images, 1 to 4.
        c_dim: number of classes, or length of other labels; 0 for none.
        channel_base, channel_max: ``min(channel_base // r, channel_max)`` feature maps at resolution ``r``.
        group_size: samples that are compared; the batch is a multiple of it, or smaller.
        lowest: resolution of level 0, 4 or 8.
        resample_filter: taps that features are filtered with when they are halved; (1, 1) takes the mean of 2×2.

    Raises:
        ValueError: an argument is out of range; images or labels of another shape, or a batch that groups don't divide.
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
        check_sizes(resolution, channels, channel_base, (4, 4), {"channel_max": (channel_max, 1)})
        if lowest not in (4, 8):
            raise ValueError(f"lowest must be 4 or 8, got {lowest!r}")
        super().__init__(channels, lowest, resolution)
        self.config: dict[str, Any] = {
            "resolution": resolution, "channels": channels, "c_dim": c_dim, "channel_base": channel_base,
            "channel_max": channel_max, "group_size": group_size, "lowest": lowest, "resample_filter": resample_filter,
        }  # fmt: skip
        self.c_dim = c_dim

        def width(r: int) -> int:
            return channels_at(r, channel_base, channel_max)

        self.fromrgb = nn.ModuleList(
            EqualConv2d(channels, width(r), 1, act="lrelu") for r in self.resolutions
        )
        options: dict[str, Any] = {"act": "lrelu"}
        self.blocks = nn.ModuleList(  # from 8×8 up
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
        """
        Args:
            images: ``[N, channels, R, R]``, R being the full or the current resolution.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
        """
        images = self.shrunk(images).contiguous(memory_format=torch.channels_last)
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
