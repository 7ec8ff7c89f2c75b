"""Residual discriminator of StyleGAN2.

Karras et al. 2020, section 4 and figure 7; layers of Karras et al. 2018. With labels the logit is a
projection (Miyato and Koyama 2018; Karras et al. 2020b).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_shape
from fastgan.networks.half import cast_by_hand, is_half
from fastgan.networks.labels import label_rows, no_labels
from fastgan.networks.stylegan2._sizes import (
    RESOLUTIONS,
    channels_at,
    check_half,
    check_sizes,
    image_size,
)
from fastgan.networks.stylegan2.mapping import MappingNetwork
from fastgan.nn import EqualConv2d, EqualLinear
from fastgan.nn.scaling import scaled_together
from fastgan.ops import minibatch_stddev


class DiscriminatorBlock(nn.Module):
    """Residual block: two 3×3 convolutions beside a 1×1 one.

    ``[N, in_channels, H, W]`` → ``[N, out_channels, H/2, W/2]``. Both branches are added times √½,
    which keeps the variance.

    Args:
        in_channels, out_channels: channels of input and output.
        image_channels: channels of an input image, which ``fromrgb`` turns into features; None for
            features as the input.
        half: compute in half precision under autocast.
        clamp: bound of the layers' outputs, times √½ for the added branch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        image_channels: int | None = None,
        half: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.half_precision = half
        self.fromrgb = (
            None
            if image_channels is None
            else EqualConv2d(image_channels, in_channels, 1, act="lrelu", clamp=clamp)
        )
        self.conv0 = EqualConv2d(in_channels, in_channels, 3, act="lrelu", clamp=clamp)
        # The gain 1 is lrelu's √2 times √½.
        lower = None if clamp is None else clamp * math.sqrt(0.5)
        self.conv1 = EqualConv2d(
            in_channels, out_channels, 3, act="lrelu", gain=1.0, clamp=lower, down=2
        )
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False, down=2)

    def layers(self) -> list[EqualConv2d]:
        """Return the layers with parameters."""
        found = [self.fromrgb, self.conv0, self.conv1, self.skip]
        return [layer for layer in found if layer is not None]

    def forward(self, x: Tensor, *, half: torch.dtype) -> Tensor:
        """Run the block, one for half precision in the dtype ``half``."""
        x = x.to(half if self.half_precision else self.conv0.weight.dtype)
        if self.fromrgb is not None:
            x = self.fromrgb(x.contiguous(memory_format=torch.channels_last))
            # A tensor of one channel has no layout of its own, so the features are converted too.
            x = x.contiguous(memory_format=torch.channels_last)
        return torch.add(self.conv1(self.conv0(x)), self.skip(x), alpha=math.sqrt(0.5))


class DiscriminatorEpilogue(nn.Module):
    """Last layers at the base grid: ``[N, channels, h, w]`` → ``[N, outputs]``.

    They compute in the precision of the parameters.
    """

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
    """Map images ``[N, channels, H, W]`` in [-1, 1] to logits ``[N]``.

    Each resolution down to 8 has a residual block ``b{resolution}``; ``b4`` follows. Features are
    in channels_last, the fastest layout for the convolutions.

    Args:
        resolution: a power of two from 8 to 1024; images are ``base`` times resolution/4.
        channels: channels of the images, 1 to 4.
        c_dim: number of classes, or length of other labels; 0 for none.
        cmap_dim: length of mapped labels and of the features they are multiplied with; None for the
            last block's channels.
        mapping_layers, mapping_lr_multiplier: ``num_layers`` and ``lr_multiplier`` of the labels'
            :class:`MappingNetwork`.
        channel_base, channel_max: feature maps at resolution ``r`` are
            ``min(channel_base // r, channel_max)``.
        group_size: samples that :func:`fastgan.ops.minibatch_stddev` compares; the batch is a
            multiple of it, or smaller.
        half_resolutions: number of the highest resolutions that compute in half precision under
            autocast, in its dtype. The rest computes in that of the parameters.
        conv_clamp: bound of the layers' outputs; 256 keeps float16 from overflowing. None for none.
        base: (height, width) of the smallest features.

    Raises:
        ValueError: an argument is out of range, images or labels have another shape, or groups
            don't divide the batch.
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
        half_resolutions: int = 0,
        conv_clamp: float | None = None,
        base: tuple[int, int] = (4, 4),
    ) -> None:
        super().__init__()
        base = (base[0], base[1]) if len(base) == 2 else base
        check_sizes(resolution, channels, channel_base, channel_max, base)
        check_at_least(0, c_dim=c_dim)
        check_at_least(1, group_size=group_size)
        check_half(half_resolutions, conv_clamp)
        self.config: dict[str, Any] = {
            "resolution": resolution, "channels": channels, "c_dim": c_dim, "cmap_dim": cmap_dim,
            "mapping_layers": mapping_layers, "mapping_lr_multiplier": mapping_lr_multiplier,
            "channel_base": channel_base, "channel_max": channel_max, "group_size": group_size,
            "half_resolutions": half_resolutions, "conv_clamp": conv_clamp, "base": base,
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
                half=is_half(r, resolution, half_resolutions),
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

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits ``[N]``.

        Under autocast the blocks for half precision compute in its dtype.

        Args:
            images: ``[N, channels, H, W]``.
            labels: class indices int64 ``[N]``, or rows ``[N, c_dim]``.
        """
        check_shape("images", images, self.channels, *self.image_size)
        return cast_by_hand(self._logits, images, labels)

    def _logits(self, images: Tensor, labels: Tensor | None, half: torch.dtype) -> Tensor:
        """Return the logits; blocks for half precision compute in the dtype ``half``."""
        blocks: list[DiscriminatorBlock] = [getattr(self, f"b{r}") for r in self.resolutions]
        casts = half != images.dtype
        halves = [layer for b in blocks if b.half_precision and casts for layer in b.layers()]
        full = [layer for b in blocks if not (b.half_precision and casts) for layer in b.layers()]
        x = images
        with scaled_together([*full, self.b4.conv, self.b4.fc, self.b4.out], halves, half):
            for block in blocks:
                x = block(x, half=half)
            y: Tensor = self.b4(x.to(images.dtype))
        if self.mapping is not None:
            label = self.mapping(None, label_rows(labels, self.c_dim, images.shape[0]))
            return (y * label).sum(1) / math.sqrt(y.shape[1])
        no_labels(labels)
        return y.squeeze(1)
