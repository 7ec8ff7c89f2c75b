"""Generator and discriminator of R3GAN (Huang et al. 2024, sections 3.3 to 3.5).

Each resolution has inverted bottlenecks whose 3×3 convolution is grouped. Bilinear filters and 1×1
convolutions connect the resolutions. There is no normalisation: blocks start as the identity
(Zhang et al. 2019, Fixup). G starts from a learned 4×4 basis that z scales. D is G in reverse and
ends in a 4×4 convolution of each channel.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.half import cast_by_hand, is_half, run_layers
from fastgan.networks.labels import check_classes
from fastgan.nn import Conv2d
from fastgan.nn.resample import _Filtered

__all__ = ["RESOLUTIONS", "R3GANDiscriminator", "R3GANGenerator", "stage_widths"]

RESOLUTIONS = tuple(2**i for i in range(3, 11))
BILINEAR = (1, 3, 3, 1)
"""Filter for a factor of 2, between centres of pixels."""
SLOPE = 0.2
"""Slope of LeakyReLU."""


def stage_widths(resolution: int, channel_base: int, channel_max: int) -> list[int]:
    """Return the channels at 4×4, 8×8, …, resolution: base / r, at most the maximum.

    Raises:
        ValueError: ``resolution`` is not one of ``RESOLUTIONS``, or a stage would have no channel.
    """
    check_choice("resolution", resolution, RESOLUTIONS)
    check_at_least(resolution, channel_base=channel_base)
    check_at_least(1, channel_max=channel_max)
    return [min(channel_base // 2**i, channel_max) for i in range(2, resolution.bit_length())]


@torch.no_grad()
def init_weight(weight: Tensor, gain: float = 1.0) -> None:
    """Draw from N(0, gain² / fan_in), in place; a gain of 1 keeps the variance."""
    weight.normal_(0.0, gain / math.sqrt(weight[0].numel()))


class InvertedBottleneck(nn.Module):
    """Residual block ``x + f(x)``, ``[N, C, H, W]`` → the same.

    f is a 1×1 convolution to more channels, a grouped 3×3 and a 1×1 back. Biases and LeakyReLU
    follow the first two; the last one starts at zero.

    Args:
        channels: C.
        expansion: factor of the channels inside.
        group_size: channels per group; fewer where the block has fewer.
        scale: factor of He's initialisation for the first two convolutions.

    Raises:
        ValueError: the groups don't divide the channels inside.
    """

    def __init__(self, channels: int, *, expansion: int, group_size: int, scale: float) -> None:
        super().__init__()
        width = channels * expansion
        group_size = min(group_size, width)
        if width % group_size:
            raise ValueError(
                f"group_size must divide the {width} channels inside a block, got {group_size}"
            )
        self.expand = Conv2d(channels, width, 1, act="lrelu")
        self.grouped = Conv2d(width, width, 3, padding=1, groups=width // group_size, act="lrelu")
        self.project = Conv2d(width, channels, 1, bias=False)
        for layer in (self.expand, self.grouped):
            init_weight(layer.weight, scale * math.sqrt(2 / (1 + SLOPE**2)))
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.project.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.grouped(self.expand(x)))


class Transition(_Filtered):
    """Change of resolution by a bilinear filter, and of channels by a 1×1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, *, up: int = 1, down: int = 1) -> None:
        super().__init__(BILINEAR, up=up, down=down)
        self.conv = None
        if in_channels != out_channels:
            self.conv = Conv2d(in_channels, out_channels, 1, bias=False)
            init_weight(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.conv is not None:
            return ops.conv2d_resample(x, self.conv.weight, self.filter, **self.options)
        return (
            ops.upsample2d(x, self.filter)
            if self.options["up"] > 1
            else ops.downsample2d(x, self.filter)
        )


def _stage(channels: int, blocks: int, **options: Any) -> list[nn.Module]:
    """Return the blocks of a resolution."""
    return [InvertedBottleneck(channels, **options) for _ in range(blocks)]


def _check_blocks(c_dim: int, blocks: int, expansion: int, group_size: int) -> None:
    """Raise ValueError for a size that G and D share and that is out of range."""
    check_at_least(0, c_dim=c_dim)
    check_at_least(1, blocks=blocks, expansion=expansion, group_size=group_size)


def _fixup(stages: int, blocks: int) -> float:
    """Return L^(-1/(2m - 2)) for L blocks of m = 3 layers."""
    return float((stages * blocks) ** -0.25)


class R3GANGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]``, around [-1, 1].

    Args:
        resolution: one of ``RESOLUTIONS``.
        channels: channels of the images.
        z_dim: length of z, and of a class's embedding.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``,
            whose embedding is appended to z.
        channel_base, channel_max: channels at resolution ``r`` are ``min(base / r, max)``; the
            defaults are those of FFHQ-256.
        blocks: blocks per resolution.
        expansion, group_size: as in :class:`InvertedBottleneck`.
        half_resolutions: number of the highest resolutions that compute in half precision under
            autocast, in its dtype. The rest computes in that of the parameters.

    Raises:
        ValueError: an argument is out of range, z has another shape, or labels are missing, not
            wanted, out of range or of another shape.
    """

    def __init__(
        self, resolution: int = 256, channels: int = 3, *, z_dim: int = 64, c_dim: int = 0,
        channel_base: int = 24576, channel_max: int = 768,
        blocks: int = 2, expansion: int = 2, group_size: int = 16, half_resolutions: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        check_at_least(1, channels=channels, z_dim=z_dim)
        check_at_least(0, half_resolutions=half_resolutions)
        _check_blocks(c_dim, blocks, expansion, group_size)
        self.z_dim, self.c_dim = z_dim, c_dim
        widths = stage_widths(resolution, channel_base, channel_max)
        scale = _fixup(len(widths), blocks)
        self.basis = nn.Parameter(torch.empty(widths[0], 4, 4).normal_())
        self.embed = nn.Embedding(c_dim, z_dim) if c_dim else None
        self.modulate = nn.Linear(z_dim * (2 if c_dim else 1), widths[0], bias=False)
        init_weight(self.modulate.weight)
        layers: list[nn.Module] = []
        self.halves: list[bool] = []
        for i, (before, width) in enumerate(zip([0, *widths], widths)):
            if before:
                layers.append(Transition(before, width, up=2))
            layers += _stage(width, blocks, expansion=expansion, group_size=group_size, scale=scale)
            half = is_half(4 * 2**i, resolution, half_resolutions)
            self.halves += [half] * (len(layers) - len(self.halves))
        self.layers = nn.Sequential(*layers)
        self.torgb = Conv2d(widths[-1], channels, 1, bias=False)
        init_weight(self.torgb.weight)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("z", z, self.z_dim)
        check_classes(labels, self.c_dim, z.shape[0])
        if self.embed is not None:
            z = torch.cat([z, self.embed(labels).to(z.dtype)], 1)
        return cast_by_hand(self._images, z)

    def _images(self, z: Tensor, half: torch.dtype) -> Tensor:
        """Return the images; layers for half precision compute in the dtype ``half``."""
        x = self.basis * self.modulate(z)[:, :, None, None]
        x = x.contiguous(memory_format=torch.channels_last)
        layers, halves = [*self.layers, self.torgb], [*self.halves, self.halves[-1]]
        return run_layers(layers, halves, x, half=half, full=z.dtype).to(z.dtype)


class R3GANDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` to logits ``[N]``.

    With classes the product of the features with a class's embedding is added, a projection (Miyato
    and Koyama 2018). Arguments and errors are those of :class:`R3GANGenerator`.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = ("layers",)
    """Lists whose last layers networks of other resolutions share."""

    def __init__(
        self, resolution: int = 256, channels: int = 3, *, c_dim: int = 0,
        channel_base: int = 24576, channel_max: int = 768,
        blocks: int = 2, expansion: int = 2, group_size: int = 16, half_resolutions: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        check_at_least(1, channels=channels)
        check_at_least(0, half_resolutions=half_resolutions)
        _check_blocks(c_dim, blocks, expansion, group_size)
        self.c_dim, self.image_shape = c_dim, (channels, resolution, resolution)
        widths = stage_widths(resolution, channel_base, channel_max)[::-1]
        scale = _fixup(len(widths), blocks)
        self.fromrgb = Conv2d(channels, widths[0], 1, bias=False)
        init_weight(self.fromrgb.weight)
        layers: list[nn.Module] = []
        self.halves: list[bool] = []
        for i, (width, after) in enumerate(zip(widths, [*widths[1:], 0])):
            layers += _stage(width, blocks, expansion=expansion, group_size=group_size, scale=scale)
            if after:
                layers.append(Transition(width, after, down=2))
            half = is_half(resolution // 2**i, resolution, half_resolutions)
            self.halves += [half] * (len(layers) - len(self.halves))
        self.layers = nn.Sequential(*layers)
        self.reduce = Conv2d(widths[-1], widths[-1], 4, groups=widths[-1], bias=False)
        init_weight(self.reduce.weight)
        self.out = nn.Linear(widths[-1], 1, bias=False)
        init_weight(self.out.weight)
        self.embed = nn.Embedding(c_dim, widths[-1]) if c_dim else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("images", images, *self.image_shape)
        check_classes(labels, self.c_dim, images.shape[0])
        return cast_by_hand(self._logits, images, labels)

    def _logits(self, images: Tensor, labels: Tensor | None, half: torch.dtype) -> Tensor:
        """Return the logits; layers for half precision compute in the dtype ``half``."""
        x = images.contiguous(memory_format=torch.channels_last)
        dtypes = {"half": half, "full": images.dtype}
        x = run_layers([self.fromrgb], self.halves[:1], x, **dtypes)
        # A tensor of one channel has no layout of its own, so the features are converted too.
        x = x.contiguous(memory_format=torch.channels_last)
        x = run_layers(self.layers, self.halves, x, **dtypes)
        features = self.reduce(x.to(images.dtype)).flatten(1)
        logits: Tensor = self.out(features)[:, 0]
        if self.embed is not None:
            classes = self.embed(labels).to(features.dtype)
            logits = logits + (features * classes).sum(1) / math.sqrt(features.shape[1])
        return logits
