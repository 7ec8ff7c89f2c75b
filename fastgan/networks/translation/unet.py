"""Generator of pix2pix: an encoder and decoder with skip connections.

Isola et al. 2017, section 3.2 and appendix 6.1.1.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_share
from fastgan.networks.translation.layers import as_input, init_normal, norm_act
from fastgan.nn import BiasAct, Conv2d


class Dropout(nn.Module):
    """Dropout with probability ``p``; with ``always`` in evaluation too."""

    def __init__(self, p: float, always: bool) -> None:
        super().__init__()
        self.p, self.always = p, always

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training or self.always)


class UNetGenerator(nn.Module):
    """Map images ``[N, in_channels, H, W]`` in [-1, 1] to ``[N, out_channels, H, W]`` in [-1, 1].

    4×4 convolutions of stride 2 halve the image down to one pixel, and transposed ones double it
    again. Each level of the decoder also takes the encoder's output of its size. The encoder has
    LeakyReLU(0.2), the decoder ReLU, with tanh at the end. All layers have a norm except the first,
    the last and the innermost, whose feature maps may have one pixel (the paper's errata).

    At 256 layers are the paper's C64-C128-C256-C512-C512-C512-C512-C512 and
    CD512-CD512-CD512-C512-C256-C128-C64.

    Args:
        in_channels, out_channels: channels of input and output images.
        resolution: size at which the innermost features have one pixel, a power of 2 of at least 4.
            Images may have any multiple of it.
        ngf: channels after the first layer; they double, up to 8·ngf.
        norm: ``batch``, ``instance`` or ``none``.
        dropout: probability in the decoder's first three layers, the network's only noise.
        dropout_in_eval: keep the noise in evaluation, as the paper does.

    Raises:
        ValueError: an argument is out of range, or images have another shape.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = ("up",)
    """Lists whose last layers networks of other resolutions share."""

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        *,
        resolution: int = 256,
        ngf: int = 64,
        norm: str = "batch",
        dropout: float = 0.5,
        dropout_in_eval: bool = False,
    ) -> None:
        super().__init__()
        check_at_least(4, resolution=resolution)
        if resolution & (resolution - 1):
            raise ValueError(f"resolution must be a power of 2 of at least 4, got {resolution}")
        check_at_least(1, in_channels=in_channels, out_channels=out_channels, ngf=ngf)
        check_share(dropout=dropout)
        self.in_channels, self.resolution = in_channels, resolution
        levels = resolution.bit_length() - 1
        widths = [ngf * min(2**i, 8) for i in range(levels)]
        self.down = nn.ModuleList([Conv2d(in_channels, ngf, 4, 2, 1, act="lrelu")])
        for fan_in, fan_out in pairwise(widths[:-1]):
            conv = Conv2d(fan_in, fan_out, 4, 2, 1, bias=False)
            self.down.append(nn.Sequential(conv, norm_act(norm, fan_out, "lrelu")))
        self.down.append(Conv2d(widths[-2], widths[-1], 4, 2, 1, act="lrelu"))
        self.up = nn.ModuleList()
        fan_in = widths[-1]
        for i, fan_out in enumerate(reversed(widths[:-1])):
            layers = [_up(fan_in, fan_out), norm_act(norm, fan_out, "relu")]
            if dropout and i < 3:
                layers.append(Dropout(dropout, dropout_in_eval))
            self.up.append(nn.Sequential(*layers))
            fan_in = 2 * fan_out
        self.out = nn.Sequential(_up(fan_in, out_channels), BiasAct(out_channels, act="tanh"))
        self.apply(init_normal)

    def forward(self, images: Tensor) -> Tensor:
        x = as_input(images, "the U-Net's images", self.in_channels, self.resolution, kernel=4)
        skips = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        for up, skip in zip(self.up, reversed(skips[:-1])):
            x = torch.cat([up(x), skip], 1)
        result: Tensor = self.out(x)
        return result


def _up(in_channels: int, out_channels: int) -> nn.Module:
    """Return the transposed convolution that doubles the size."""
    return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False)
