"""Generator and discriminator of SRGAN, and generator of ESRGAN.

Ledig et al. 2017, figure 4; Wang et al. 2018.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.batch_comparison import BatchComparison
from fastgan.networks.checks import check_at_least, check_choice
from fastgan.networks.labels import no_labels
from fastgan.networks.translation.layers import DownConv2d, as_input, norm_act
from fastgan.nn import BatchNormAct2d, BiasAct, Conv2d

DOUBLINGS = {2: 1, 4: 2, 8: 3}
"""Number of doublings by scale factor."""


class SRResNet(nn.Module):
    """Map images ``[N, channels, H, W]`` in [-1, 1] to ``[N, channels, scale·H, scale·W]``.

    The output lies around [-1, 1] and is not bounded. A 9×9 convolution is followed by residual
    blocks of 3×3 convolutions with batch norm and PReLU, with a shortcut around all blocks. For
    each doubling there is a 3×3 convolution to four times the channels, pixel shuffle and PReLU. A
    9×9 convolution ends the network. A PReLU has a single slope, which starts at 0.25.

    Args:
        channels: channels of the images.
        scale: 2, 4 or 8.
        blocks: number of residual blocks.
        ngf: channels of the features.
        residual: add a tenth of the network's output to the bicubic enlargement, with which the
            network then starts (Kim et al. 2016, section 3.1).

    Raises:
        ValueError: an argument is out of range, or images have another shape.
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
        check_at_least(1, channels=channels, blocks=blocks, ngf=ngf)
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
            # Adam moves all the weights behind a pixel equally far. The factor of a tenth keeps the
            # change of a pixel below its error.
            result = torch.add(enlarged, result, alpha=0.1)
        return result


class _SRBlock(nn.Module):
    """Residual block of two 3×3 convolutions with batch norm and PReLU."""

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
    """Map images ``[N, channels, H, W]`` in [-1, 1] to ``[N, channels, scale·H, scale·W]``.

    The output lies around [-1, 1] and is not bounded. It is :class:`SRResNet` without norms, with
    residual-in-residual dense blocks, LeakyReLU(0.2) in place of PReLU, 3×3 convolutions everywhere
    and one more of them after upsampling.

    Args:
        channels: channels of the images.
        scale: 2, 4 or 8.
        blocks: number of blocks, 23 in the paper.
        ngf: channels of the features.
        growth: channels that each layer of a dense block adds.

    Raises:
        ValueError: an argument is out of range, or images have another shape.
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
        check_at_least(1, channels=channels, blocks=blocks, ngf=ngf, growth=growth)
        self.channels, self.scale = channels, scale
        self.start = Conv2d(channels, ngf, 3, padding=1)
        self.blocks = nn.Sequential(*(_RRDB(ngf, growth) for _ in range(blocks)))
        self.end = Conv2d(ngf, ngf, 3, padding=1)
        self.up = nn.Sequential(
            *(
                # Elementwise activations commute with the shuffle, and fuse with the convolution.
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
    """Dense block ``x + 0.2·f(x)``.

    Each of the five convolutions of f takes x and the outputs of those before it.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.inner = nn.ModuleList(
            Conv2d(channels + i * growth, growth, 3, padding=1, act="lrelu") for i in range(4)
        )
        self.last = Conv2d(channels + 4 * growth, channels, 3, padding=1)
        # Deep networks without norms start with small weights (section 3.1).
        with torch.no_grad():
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
    """Residual block ``x + 0.2·f(x)``, where f is three dense blocks."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.blocks(x), alpha=0.2)


class SRGANDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` in [-1, 1] to logits ``[N]``.

    Eight 3×3 convolutions of ndf to 8·ndf channels, every second one of stride 2, with
    LeakyReLU(0.2) and, except in the first, batch norm. A linear layer to 16·ndf and one to the
    logit follow.

    Args:
        resolution: a multiple of 16; the paper's crops have 96 pixels.
        channels: channels of the images.
        ndf: channels after the first layer.
        norm: ``batch``, or ``none`` or ``instance`` for a smaller network under a gradient penalty.
        minibatch_discrimination: kernels that compare the images of a batch, 0 for none.
        minibatch_stddev: images per group of :func:`fastgan.ops.minibatch_stddev`, 0 for none.

    Raises:
        ValueError: an argument is out of range, images have another shape, or labels are passed.
    """

    def __init__(
        self,
        resolution: int = 96,
        channels: int = 3,
        *,
        ndf: int = 64,
        norm: str = "batch",
        minibatch_discrimination: int = 0,
        minibatch_stddev: int = 0,
    ) -> None:
        super().__init__()
        check_at_least(32, resolution=resolution)
        if resolution % 16:
            raise ValueError(
                f"resolution must be a multiple of 16 of at least 32, got {resolution}"
            )
        check_at_least(1, channels=channels, ndf=ndf)
        self.resolution, self.channels = resolution, channels
        widths = [ndf, ndf, 2 * ndf, 2 * ndf, 4 * ndf, 4 * ndf, 8 * ndf, 8 * ndf]
        layers: list[nn.Module] = [Conv2d(channels, ndf, 3, padding=1, act="lrelu")]
        for i, (a, b) in enumerate(pairwise(widths)):
            layers.append(Conv2d(a, b, 3, padding=1, bias=False) if i % 2 else DownConv2d(a, b))
            layers.append(norm_act(norm, b, "lrelu"))
        self.layers = nn.Sequential(*layers)
        places = (resolution // 16) ** 2
        self.head = nn.Sequential(
            nn.Linear((8 * ndf + bool(minibatch_stddev)) * places, 16 * ndf, bias=False),
            BiasAct(16 * ndf, act="lrelu", gain=1),
            nn.Linear(16 * ndf, 1),
        )
        self.comparison = BatchComparison(
            8 * ndf * places, minibatch_discrimination, minibatch_stddev
        )

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the output of the convolutions, ``[N, C, h, w]``."""
        no_labels(labels)
        x = as_input(images, "SRGAN's images", self.channels)
        if list(x.shape[2:]) != [self.resolution] * 2:
            size = f"{self.resolution}×{self.resolution}"
            raise ValueError(
                f"SRGAN's images must be {size}, got {x.shape[2]}×{x.shape[3]}; crop or resize them"
            )
        features: Tensor = self.layers(x)
        return features

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.features(images, labels)
        logits: Tensor = self.head(self.comparison.append_stddev(x).flatten(1))
        return self.comparison.add_closeness(logits.squeeze(1), x)


def _doublings(scale: int) -> int:
    """Return the number of doublings of a scale factor."""
    check_choice("scale", scale, tuple(DOUBLINGS))
    return DOUBLINGS[scale]
