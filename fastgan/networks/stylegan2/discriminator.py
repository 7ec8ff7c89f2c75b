"""StyleGAN2's residual discriminator (Karras et al. 2020, section 4 and figure 7; layers of Karras et al. 2018).

With labels it judges how well an image goes with its label, by projection (Miyato and Koyama 2018; Karras et al. 2020b).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.networks.labels import label_rows, no_labels
from fastgan.networks.stylegan2._sizes import (
    RESOLUTIONS,
    channels_at,
    check_fp16,
    check_sizes,
    image_size,
)
from fastgan.networks.stylegan2.mapping import MappingNetwork
from fastgan.nn import EqualConv2d, EqualLinear
from fastgan.ops import minibatch_stddev


class DiscriminatorBlock(nn.Module):
    """``[N, in_channels, H, W]`` → ``[N, out_channels, H/2, W/2]``: two 3×3 convolutions beside a 1×1 one.

    With ``image_channels`` it takes the image: ``fromrgb`` makes features of it. The two branches are added times √½ each,
    which keeps the variance.

    Args:
        fp16: whether it computes in float16 (where the network lets it).
        clamp: bound of what layers give, times √½ for the branch that is added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        image_channels: int | None = None,
        fp16: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.fp16 = fp16
        self.fromrgb = (
            None
            if image_channels is None
            else EqualConv2d(image_channels, in_channels, 1, act="lrelu", clamp=clamp)
        )
        self.conv0 = EqualConv2d(in_channels, in_channels, 3, act="lrelu", clamp=clamp)
        # lrelu's gain of √2 times √½
        lower = None if clamp is None else clamp * math.sqrt(0.5)
        self.conv1 = EqualConv2d(
            in_channels, out_channels, 3, act="lrelu", gain=1.0, clamp=lower, down=2
        )
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False, down=2)

    def forward(self, x: Tensor, *, fp16: bool) -> Tensor:
        """``fp16``: whether blocks made for float16 compute in it."""
        x = x.to(torch.float16 if self.fp16 and fp16 else self.conv0.weight.dtype)
        if self.fromrgb is not None:
            x = self.fromrgb(x.contiguous(memory_format=torch.channels_last))
            x = x.contiguous(
                memory_format=torch.channels_last
            )  # an image of one channel doesn't say what it is in
        return torch.add(self.conv1(self.conv0(x)), self.skip(x), alpha=math.sqrt(0.5))


class DiscriminatorEpilogue(nn.Module):
    """``[N, channels, h, w]`` → ``[N, outputs]``, at the base grid, always in the parameters' precision."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        base: tuple[int, int],
        *,
        group_size: int,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.group_size = group_size
        self.conv = EqualConv2d(channels + 1, channels, 3, act="lrelu", clamp=clamp)
        self.fc = EqualLinear(channels * base[0] * base[1], channels, act="lrelu")
        self.out = EqualLinear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(minibatch_stddev(x, group_size=self.group_size))
        y: Tensor = self.out(self.fc(x.flatten(1)))
        return y


class StyleGAN2Discriminator(nn.Module):
    """Images ``[N, channels, H, W]`` in [-1, 1] → logits ``[N]``.

    A residual block at every resolution down to 8, ``b{resolution}``, then ``b4``. Features are kept in channels_last,
    the fastest layout of the convolutions.

    Args:
        resolution: a power of two from 8 to 1024; the images are ``base`` times resolution/4.
        channels: of the images, 1 to 4.
        c_dim: number of classes, or length of other labels; 0 for none.
        cmap_dim: what labels are mapped to, and compared with features in; None for as many as the last block's channels.
        mapping_layers, mapping_lr_multiplier: of the labels, as in :class:`MappingNetwork`.
        channel_base, channel_max: ``min(channel_base // r, channel_max)`` feature maps at resolution ``r``.
        group_size: samples that :func:`minibatch_stddev` compares; the batch is a multiple of it, or smaller.
        num_fp16_res: how many of the highest resolutions compute in float16.
        conv_clamp: bound of what layers give; 256 keeps float16 from overflowing. None for none.
        base: (height, width) of the smallest features.

    Raises:
        ValueError: an argument is out of range; images of another shape, or a batch that groups don't divide.
    """

    def __init__(
        self,
        resolution: int = 256,
        channels: int = 3,
        *,
        c_dim: int = 0,
        cmap_dim: int | None = None,
        mapping_layers: int = 8,
        mapping_lr_multiplier: float = 0.01,
        channel_base: int = 32768,
        channel_max: int = 512,
        group_size: int = 4,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        base: tuple[int, int] = (4, 4),
    ) -> None:
        super().__init__()
        base = (base[0], base[1]) if len(base) == 2 else base
        least = {"channel_max": (channel_max, 1), "group_size": (group_size, 1)}
        check_sizes(resolution, channels, channel_base, base, least)
        check_fp16(num_fp16_res, conv_clamp)
        self.config: dict[str, Any] = {
            "resolution": resolution, "channels": channels, "c_dim": c_dim, "cmap_dim": cmap_dim,
            "mapping_layers": mapping_layers, "mapping_lr_multiplier": mapping_lr_multiplier,
            "channel_base": channel_base, "channel_max": channel_max, "group_size": group_size,
            "num_fp16_res": num_fp16_res, "conv_clamp": conv_clamp, "base": base,
        }  # fmt: skip
        self.resolution, self.channels, self.c_dim = resolution, channels, c_dim
        self.image_size = image_size(resolution, base)
        self.resolutions = [r for r in reversed(RESOLUTIONS) if r <= resolution]
        for r in self.resolutions:
            width, narrower = (channels_at(r // i, channel_base, channel_max) for i in (1, 2))
            block = DiscriminatorBlock(
                width,
                narrower,
                image_channels=channels if r == resolution else None,
                fp16=r * 2**num_fp16_res > resolution,
                clamp=conv_clamp,
            )
            self.add_module(f"b{r}", block)
        last = channels_at(4, channel_base, channel_max)
        outputs = 1
        self.mapping = None
        if c_dim:
            outputs = last if cmap_dim is None else cmap_dim
            self.mapping = MappingNetwork(
                0, c_dim, outputs, num_ws=None, num_layers=mapping_layers,
                lr_multiplier=mapping_lr_multiplier, w_avg_beta=None,
            )  # fmt: skip
        self.b4 = DiscriminatorEpilogue(
            last, outputs, base, group_size=group_size, clamp=conv_clamp
        )

    def forward(
        self, images: Tensor, labels: Tensor | None = None, *, force_fp32: bool | None = None
    ) -> Tensor:
        """
        Args:
            images: ``[N, channels, H, W]``.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
            force_fp32: whether blocks made for float16 compute in float32; None for where it's quicker, on a CPU.

        Returns:
            Logits ``[N]``.
        """
        expected = (self.channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"images must have shape [N, {', '.join(map(str, expected))}], got {list(images.shape)}"
            )
        fp16 = not (images.device.type == "cpu" if force_fp32 is None else force_fp32)
        x = images
        for r in self.resolutions:
            x = getattr(self, f"b{r}")(x, fp16=fp16)
        y: Tensor = self.b4(x.to(images.dtype))
        if self.mapping is not None:
            label = self.mapping(None, label_rows(labels, self.c_dim, images.shape[0]))
            return (y * label).sum(1) / math.sqrt(y.shape[1])
        no_labels(labels)
        return y.squeeze(1)
