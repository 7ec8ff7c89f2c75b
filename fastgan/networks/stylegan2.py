"""StyleGAN2's residual discriminator (Karras et al. 2020, section 4 and figure 7; layers of Karras et al. 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fastgan.nn import EqualConv2d, EqualLinear

RESOLUTIONS = tuple(2**i for i in range(3, 11))


def channels_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Feature maps at ``resolution``: twice as many each time that it halves, up to ``channel_max``."""
    return min(channel_base // resolution, channel_max)


def minibatch_stddev(x: Tensor, group_size: int = 4) -> Tensor:
    """Appends one channel that tells how much the samples of a group differ (Karras et al. 2018, section 3).

    The standard deviation over the group, of each feature at each place, averaged over features and places. Group ``i`` of
    ``M = N / group_size`` holds the samples ``i, i + M, i + 2M, …``.

    Args:
        x: ``[N, C, H, W]``.
        group_size: samples per group; a batch with fewer is one group.

    Returns:
        ``[N, C + 1, H, W]``.

    Raises:
        ValueError: the batch cannot be cut into groups of this size.
    """
    n, c, h, w = x.shape
    group = min(group_size, n)
    if group < 1 or n % group:
        raise ValueError(
            f"the batch must have up to {group_size} samples or a multiple of {group_size}, got {n}; use another batch "
            "size or group_size"
        )
    stddev = (x.reshape(group, n // group, c, h, w).var(0, correction=0) + 1e-8).sqrt()
    feature = stddev.mean((1, 2, 3)).repeat(group)  # [N]
    return torch.cat([x, feature[:, None, None, None].expand(n, 1, h, w)], 1)


class DiscriminatorBlock(nn.Module):
    """``[N, in_channels, H, W]`` → ``[N, out_channels, H/2, W/2]``: two 3×3 convolutions beside a 1×1 one.

    With ``image_channels`` it takes the image: ``fromrgb`` makes features of it. The two branches are added times √½ each,
    which keeps the variance.
    """

    def __init__(self, in_channels: int, out_channels: int, *, image_channels: int | None = None) -> None:
        super().__init__()
        self.fromrgb = (
            None if image_channels is None else EqualConv2d(image_channels, in_channels, 1, act="lrelu")
        )
        self.conv0 = EqualConv2d(in_channels, in_channels, 3, act="lrelu")
        # lrelu's gain of √2 times √½
        self.conv1 = EqualConv2d(in_channels, out_channels, 3, act="lrelu", gain=1.0, down=2)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False, down=2)

    def forward(self, x: Tensor) -> Tensor:
        if self.fromrgb is not None:
            x = self.fromrgb(x.contiguous(memory_format=torch.channels_last))
            x = x.contiguous(
                memory_format=torch.channels_last
            )  # an image of one channel doesn't say what it is in
        return torch.add(self.conv1(self.conv0(x)), self.skip(x), alpha=math.sqrt(0.5))


class DiscriminatorEpilogue(nn.Module):
    """``[N, channels, 4, 4]`` → logits ``[N, 1]``."""

    def __init__(self, channels: int, *, group_size: int) -> None:
        super().__init__()
        self.group_size = group_size
        self.conv = EqualConv2d(channels + 1, channels, 3, act="lrelu")
        self.fc = EqualLinear(channels * 4 * 4, channels, act="lrelu")
        self.out = EqualLinear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(minibatch_stddev(x, self.group_size))
        logits: Tensor = self.out(self.fc(x.flatten(1)))
        return logits


class StyleGAN2Discriminator(nn.Module):
    """Images ``[N, channels, resolution, resolution]`` in [-1, 1] → logits ``[N, 1]``.

    A residual block at every resolution down to 8, ``b{resolution}``, then ``b4``. Features are kept in channels_last,
    the fastest layout of the convolutions.

    Args:
        resolution: of the images, a power of two from 8 to 1024.
        channels: of the images, 1 to 4.
        channel_base, channel_max: ``min(channel_base // r, channel_max)`` feature maps at resolution ``r``.
        group_size: samples that :func:`minibatch_stddev` compares; the batch is a multiple of it, or smaller.

    Raises:
        ValueError: an argument is out of range; images of another shape, or a batch that groups don't divide.
    """

    def __init__(
        self,
        resolution: int = 256,
        channels: int = 3,
        *,
        channel_base: int = 32768,
        channel_max: int = 512,
        group_size: int = 4,
    ) -> None:
        super().__init__()
        if resolution not in RESOLUTIONS:
            raise ValueError(f"resolution must be one of {RESOLUTIONS}, got {resolution!r}")
        if channels not in (1, 2, 3, 4):
            raise ValueError(f"channels must be 1, 2, 3 or 4, got {channels!r}")
        for name, value, least in (
            ("channel_base", channel_base, resolution),
            ("channel_max", channel_max, 1),
            ("group_size", group_size, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        self.resolution, self.channels = resolution, channels
        for r in (r for r in reversed(RESOLUTIONS) if r <= resolution):
            width, narrower = (channels_at(r // i, channel_base, channel_max) for i in (1, 2))
            image_channels = channels if r == resolution else None
            self.add_module(f"b{r}", DiscriminatorBlock(width, narrower, image_channels=image_channels))
        self.b4 = DiscriminatorEpilogue(channels_at(4, channel_base, channel_max), group_size=group_size)

    def forward(self, images: Tensor) -> Tensor:
        expected = (self.channels, self.resolution, self.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"images must have shape [N, {', '.join(map(str, expected))}], got {list(images.shape)}"
            )
        x = images
        for block in self.children():
            x = block(x)
        return x
