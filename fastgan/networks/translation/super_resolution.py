"""SRGAN's generator and discriminator (Ledig et al. 2017, figure 4) and ESRGAN's generator (Wang et al. 2018)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.labels import no_labels
from fastgan.networks.translation.layers import DownConv2d, as_input, check_widths, norm_act
from fastgan.nn import BatchNormAct2d, BiasAct, Conv2d

#: Doublings of the image by the factor of the resolution.
DOUBLINGS = {2: 1, 4: 2, 8: 3}


class SRResNet(nn.Module):
    """Images ``[N, channels, H, W]`` in [-1, 1] → ``[N, channels, scale·H, scale·W]``, about [-1, 1] but not bounded.

    A 9×9 convolution, residual blocks of 3×3 convolutions with batch norm and PReLU, a shortcut around them all, a 3×3
    convolution to four times as many channels with pixel shuffle and PReLU for each doubling, and a 9×9 convolution. A PReLU
    has one slope, which starts at 0.25.

    Args:
        scale: 2, 4 or 8. blocks: residual ones. ngf: channels.
        residual: a tenth of what the network gives is added to the bicubic enlargement (Kim et al. 2016, section 3.1),
            which it starts as.

    Raises:
        ValueError: an argument is out of range, or the images are of another shape.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        scale: int = 4,
        blocks: int = 16,
        ngf: int = 64,
        residual: bool = False,
    ) -> None:
        super().__init__()
        check_widths(channels=channels, blocks=blocks, ngf=ngf)
        self.channels, self.scale, self.residual = channels, scale, residual
        self.start = nn.Sequential(Conv2d(channels, ngf, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(_SRBlock(ngf) for _ in range(blocks)))
        self.end = nn.Sequential(Conv2d(ngf, ngf, 3, padding=1, bias=False), BatchNormAct2d(ngf))
        self.up = nn.Sequential(
            *(
                nn.Sequential(Conv2d(ngf, 4 * ngf, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
                for _ in range(_doublings(scale))
            )
        )
        self.out = Conv2d(ngf, channels, 9, padding=4)
        if residual:
            assert self.out.bias is not None
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.start(as_input(images, "SRResNet's images", self.channels))
        result: Tensor = self.out(self.up(x + self.end(self.blocks(x))))
        if self.residual:
            size = [self.scale * side for side in images.shape[2:]]
            enlarged = F.interpolate(images, size=size, mode="bicubic")
            # Adam moves all of the many weights behind a pixel as far: without the tenth, by more than what is missing.
            result = torch.add(enlarged, result, alpha=0.1)
        return result


class _SRBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)
        )
        self.norm1, self.act, self.norm2 = (
            BatchNormAct2d(channels),
            nn.PReLU(),
            BatchNormAct2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return x + y


class RRDBNet(nn.Module):
    """Images ``[N, channels, H, W]`` in [-1, 1] → ``[N, channels, scale·H, scale·W]``, about [-1, 1] but not bounded.

    :class:`SRResNet` without norms, with residual-in-residual dense blocks, LeakyReLU(0.2) for PReLU, 3×3 convolutions
    everywhere and one more of them behind the upsampling.

    Args:
        scale: 2, 4 or 8. blocks: 23 in the paper. ngf: channels. growth: channels that each layer of a dense block adds.

    Raises:
        ValueError: an argument is out of range, or the images are of another shape.
    """

    def __init__(
        self,
        channels: int = 3,
        *,
        scale: int = 4,
        blocks: int = 23,
        ngf: int = 64,
        growth: int = 32,
    ) -> None:
        super().__init__()
        check_widths(channels=channels, blocks=blocks, ngf=ngf, growth=growth)
        self.channels, self.scale = channels, scale
        self.start = Conv2d(channels, ngf, 3, padding=1)
        self.blocks = nn.Sequential(*(_RRDB(ngf, growth) for _ in range(blocks)))
        self.end = Conv2d(ngf, ngf, 3, padding=1)
        self.up = nn.Sequential(
            *(
                # One number's activation is the same before the shuffle, where it is part of the convolution.
                nn.Sequential(Conv2d(ngf, 4 * ngf, 3, padding=1, act="lrelu"), nn.PixelShuffle(2))
                for _ in range(_doublings(scale))
            )
        )
        self.last = Conv2d(ngf, ngf, 3, padding=1, act="lrelu")
        self.out = Conv2d(ngf, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.start(as_input(images, "RRDBNet's images", self.channels))
        result: Tensor = self.out(self.last(self.up(x + self.end(self.blocks(x)))))
        return result


class _DenseBlock(nn.Module):
    """``x + 0.2·f(x)``; each of the five convolutions of f sees x and what those before it gave."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.inner = nn.ModuleList(
            Conv2d(channels + i * growth, growth, 3, padding=1, act="lrelu") for i in range(4)
        )
        self.last = Conv2d(channels + 4 * growth, channels, 3, padding=1)
        with torch.no_grad():  # deep networks without norms start small: section 3.1
            for layer in self.modules():
                if isinstance(layer, Conv2d):
                    nn.init.kaiming_normal_(layer.weight).mul_(0.1)
                    assert layer.bias is not None
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in self.inner:
            seen = torch.cat([seen, layer(seen)], 1)
        return torch.add(x, self.last(seen), alpha=0.2)


class _RRDB(nn.Module):
    """``x + 0.2·f(x)`` with f three dense blocks."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.blocks(x), alpha=0.2)


class SRGANDiscriminator(nn.Module):
    """Images ``[N, channels, resolution, resolution]`` in [-1, 1] → logits ``[N]``.

    Eight 3×3 convolutions of ndf to 8·ndf channels, every second one of stride 2, with LeakyReLU(0.2) and, but for the
    first, batch norm; a linear layer to 16·ndf and one to the logit.

    Args:
        resolution: a multiple of 16; the paper's crops are of 96 pixels.
        ndf: channels behind the first layer.
        norm: a smaller network under a gradient penalty takes ``none`` or ``instance`` in place of ``batch``.

    Raises:
        ValueError: an argument is out of range, or the images are of another shape.
    """

    def __init__(
        self, resolution: int = 96, channels: int = 3, *, ndf: int = 64, norm: str = "batch"
    ) -> None:
        super().__init__()
        if resolution < 32 or resolution % 16:
            raise ValueError(
                f"SRGAN's resolution must be a multiple of 16 of at least 32 in D, got {resolution}"
            )
        check_widths(channels=channels, ndf=ndf)
        self.resolution, self.channels = resolution, channels
        widths = [ndf, ndf, 2 * ndf, 2 * ndf, 4 * ndf, 4 * ndf, 8 * ndf, 8 * ndf]
        layers: list[nn.Module] = [Conv2d(channels, ndf, 3, padding=1, act="lrelu")]
        for i, (a, b) in enumerate(pairwise(widths)):
            layers.append(Conv2d(a, b, 3, padding=1, bias=False) if i % 2 else DownConv2d(a, b))
            layers.append(norm_act(norm, b, "lrelu"))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(8 * ndf * (resolution // 16) ** 2, 16 * ndf, bias=False),
            BiasAct(16 * ndf, act="lrelu", gain=1),
            nn.Linear(16 * ndf, 1),
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        no_labels(labels)
        x = as_input(images, "SRGAN's images", self.channels)
        if list(x.shape[2:]) != [self.resolution] * 2:
            size = f"{self.resolution}×{self.resolution}"
            raise ValueError(
                f"SRGAN's D takes images of {size}, got {x.shape[2]}×{x.shape[3]}; crop or resize them"
            )
        logits: Tensor = self.head(self.layers(x).flatten(1))
        return logits.squeeze(1)


def _doublings(scale: int) -> int:
    if scale not in DOUBLINGS:
        raise ValueError(f"scale must be one of {', '.join(map(str, DOUBLINGS))}, got {scale}")
    return DOUBLINGS[scale]
