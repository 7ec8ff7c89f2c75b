"""Light networks for few images (Liu et al. 2021, sections 3.1 and 3.2, figures 3 and 4).

Feature maps at resolution r have ``width · 64 / r`` channels, at least 1 and at most 16 times
``width``.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.labels import no_labels
from fastgan.networks.layout import in_fastest_layout
from fastgan.networks.protocol import DiscriminatorOutput
from fastgan.nn import BatchNormAct2d, Conv2d, ConvTranspose2d, NoiseInjection, SkipLayerExcitation

__all__ = [
    "DECODED",
    "RESOLUTIONS",
    "LightDiscriminator",
    "LightGenerator",
    "channels_at",
]

RESOLUTIONS = (16, 32, 64, 128, 256, 512, 1024)
EXCITED = 64
"""Least resolution whose channels are weighted by features at a 16th of it."""
FULL = 256
"""Largest resolution of D's residual blocks; strided convolutions lead to it."""
PART = 8
"""Height and width of D's smallest features, and of a part of those twice as large."""
DECODED = 128
"""Largest height and width of what the decoders draw."""


def channels_at(resolution: int, width: int) -> int:
    """Return the channels at a resolution, for ``width`` channels at 64×64."""
    return max(1, min(width * 64 // resolution, 16 * width))


class GatedBlock(nn.Module):
    """Nearest upsampling by 2, 3×3 convolution, noise, batch norm and gated linear unit.

    Dauphin et al. 2017: half of the channels, times the sigmoid of the others.

    Args:
        inputs, outputs: channels.
        resolution: that of the result, for constant noise; None for no noise.
    """

    def __init__(self, inputs: int, outputs: int, resolution: int | None = None) -> None:
        super().__init__()
        self.conv = Conv2d(inputs, 2 * outputs, 3, 1, 1, bias=False)
        self.noise = None if resolution is None else NoiseInjection(resolution)
        self.norm = BatchNormAct2d(2 * outputs)
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(in_fastest_layout(F.interpolate(x, scale_factor=2.0, mode="nearest")))
        if self.noise is not None:
            x = self.noise(x, None if self.training else "const")
        return F.glu(self.norm(in_fastest_layout(x)), dim=1)


class LightGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]`` in [-1, 1].

    One gated block doubles the resolution. From 64×64 on, skip-layer excitation weights the
    channels by the features at a 16th of the resolution. Noise is drawn anew in training mode and
    constant in evaluation mode.

    Args:
        resolution: a power of two from 16 to 1024.
        channels: channels of the images, 1 to 4.
        z_dim: length of z.
        ngf: channels at 64×64.

    Raises:
        ValueError: an argument is out of range, or z has another shape.
    """

    c_dim = 0

    def __init__(
        self, resolution: int = 256, channels: int = 3, *, z_dim: int = 256, ngf: int = 64
    ) -> None:
        super().__init__()
        check_sizes(resolution, channels)
        check_at_least(1, z_dim=z_dim, ngf=ngf)
        self.z_dim, self.resolution = z_dim, resolution
        widths = {4 << i: channels_at(4 << i, ngf) for i in range(resolution.bit_length() - 2)}
        self.first = ConvTranspose2d(z_dim, 2 * widths[4], 4, bias=False)
        self.first_norm = BatchNormAct2d(2 * widths[4])
        self.blocks = nn.ModuleDict(
            {str(r): GatedBlock(widths[r // 2], widths[r], r) for r in widths if r > 4}
        )
        self.excitations = nn.ModuleDict(
            {
                str(r): SkipLayerExcitation(widths[r // 16], widths[r])
                for r in widths
                if r >= EXCITED
            }
        )
        self.last = Conv2d(widths[resolution], channels, 3, 1, 1, bias=False, act="tanh")
        init_weights(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("z", z, self.z_dim)
        no_labels(labels)
        x = F.glu(self.first_norm(self.first(z[:, :, None, None])), dim=1)
        features = {4: x}
        for name, block in self.blocks.items():
            r = int(name)
            x = block(x)
            if name in self.excitations:
                x = self.excitations[name](x, features[r // 16])
            features[r] = x
        images: Tensor = self.last(in_fastest_layout(x))
        return images


class ResidualDown(nn.Module):
    """Half the resolution by two ways, whose mean is the result.

    One has a strided 4×4 and a 3×3 convolution. The other averages 2×2 pixels before a 1×1
    convolution. Batch norm and leaky ReLU follow each convolution.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = _normed(inputs, outputs, 4, 2, 1)
        self.same = _normed(outputs, outputs, 3, 1, 1)
        self.short = _normed(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = in_fastest_layout(x)
        return 0.5 * (self.same(self.down(x)) + self.short(F.avg_pool2d(x, 2)))


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """Return a convolution without bias, batch norm and leaky ReLU."""
    return nn.Sequential(
        Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        BatchNormAct2d(outputs, act="lrelu"),
    )


class LightDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` in [-1, 1] to logits ``[N, 1, 5, 5]``.

    Residual blocks halve the resolution from at most 256×256 to 8×8. The features of
    the output are those at 16×16 and at 8×8, which :class:`LightDecoders` draw.

    Args:
        resolution: a power of two from 16 to 1024.
        channels: channels of the images, 1 to 4.
        ndf: channels at 64×64.

    Raises:
        ValueError: an argument is out of range, images have another shape, or there are labels.
    """

    c_dim = 0

    def __init__(self, resolution: int = 256, channels: int = 3, *, ndf: int = 64) -> None:
        super().__init__()
        check_sizes(resolution, channels)
        check_at_least(1, ndf=ndf)
        self.image_shape = (channels, resolution, resolution)
        r, width = resolution, channels
        stem: list[nn.Module] = []
        while r > FULL:
            r //= 2
            stem.append(Conv2d(width, channels_at(r, ndf), 4, 2, 1, bias=False, act="lrelu"))
            width = channels_at(r, ndf)
        if not stem:
            stem.append(Conv2d(width, channels_at(r, ndf), 3, 1, 1, bias=False, act="lrelu"))
        self.stem = nn.Sequential(*stem)
        self.blocks = nn.ModuleList()
        while r > PART:
            self.blocks.append(ResidualDown(channels_at(r, ndf), channels_at(r // 2, ndf)))
            r //= 2
        last = channels_at(PART, ndf)
        self.head = nn.Sequential(_normed(last, last, 1), Conv2d(last, 1, 4, bias=False))
        init_weights(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        check_shape("images", images, *self.image_shape)
        no_labels(labels)
        features = [self.stem(in_fastest_layout(images))]
        for block in self.blocks:
            features.append(block(features[-1]))
        logits = self.head(in_fastest_layout(features[-1]))
        return DiscriminatorOutput((logits,), (tuple(features[-2:]),))


class LightDecoders(nn.Module):
    """Draw images from a discriminator's features (Liu et al. 2021, section 3.2 and figure 4).

    One decoder draws the part of an image that 8×8 of the features at 16×16 lie in, another the
    whole image of those at 8×8. Results have at most 128×128 pixels. Each is one gated block per
    factor of 2.

    Args:
        resolution, channels, ndf: as for :class:`LightDiscriminator`.

    Raises:
        ValueError: an argument is out of range, or features have another shape.
    """

    def __init__(self, resolution: int = 256, channels: int = 3, *, ndf: int = 64) -> None:
        super().__init__()
        check_sizes(resolution, channels)
        check_at_least(1, ndf=ndf)
        self.resolution = resolution
        self.widths = (channels_at(2 * PART, ndf), channels_at(PART, ndf))
        self.part = _decoder(self.widths[0], channels, min(resolution // 2, DECODED), ndf)
        self.whole = _decoder(self.widths[1], channels, min(resolution, DECODED), ndf)

    def forward(
        self, middle: Tensor, small: Tensor, images: Tensor, places: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return the drawn part and what it should be, then the same of the whole image.

        Args:
            middle: D's features at 16×16.
            small: D's features at 8×8.
            images: the images that D saw ``[N, channels, resolution, resolution]``.
            places: first row and column of the part of ``middle``, int64 ``[N, 2]`` from 0 to 8.
        """
        check_shape("middle", middle, self.widths[0], 2 * PART, 2 * PART)
        check_shape("small", small, self.widths[1], PART, PART)
        check_shape("places", places, 2, count=len(middle), floating=False)
        part, whole = self.part(part_of(middle, places)), self.whole(small)
        seen = pixels_of(images, places)
        return (part, _shrunk(seen, part.shape[2])), (whole, _shrunk(images, whole.shape[2]))


def part_of(features: Tensor, places: Tensor) -> Tensor:
    """Return 8×8 of features ``[N, C, 16, 16]``, from rows and columns ``[N, 2]`` on.

    It is a product with zeros and ones, since a gather has no deterministic gradient on a GPU.
    """
    inside = torch.arange(PART, device=places.device)
    every = torch.arange(2 * PART, device=places.device)
    rows, columns = (
        (place[:, None, None] + inside[:, None] == every).to(features.dtype)[:, None]
        for place in places.unbind(1)
    )
    return rows @ features @ columns.mT


def pixels_of(images: Tensor, places: Tensor) -> Tensor:
    """Return the quarter of images that ``part_of`` takes of their features."""
    size = images.shape[2]
    inside = torch.arange(size // 2, device=places.device)
    rows, columns = (place[:, None] * (size // 16) + inside for place in places.unbind(1))
    return images.take_along_dim(rows[:, None, :, None], 2).take_along_dim(
        columns[:, None, None, :], 3
    )


def _shrunk(images: Tensor, size: int) -> Tensor:
    """Return images shrunk to a size by averages."""
    factor = images.shape[2] // size
    return images if factor == 1 else F.avg_pool2d(images, factor)


def _decoder(inputs: int, channels: int, size: int, width: int) -> nn.Module:
    """Return a decoder of features 8×8, with ``width`` channels at 32×32."""
    layers: list[nn.Module] = []
    r = PART
    while r < size:
        r *= 2
        outputs = channels_at(2 * r, width)
        layers.append(GatedBlock(inputs, outputs))
        inputs = outputs
    layers.append(Conv2d(inputs, channels, 3, 1, 1, bias=False, act="tanh"))
    decoder = nn.Sequential(*layers)
    init_weights(decoder)
    return decoder


def check_sizes(resolution: int, channels: int) -> None:
    """Raise ValueError for images that light networks aren't made for."""
    check_choice("resolution", resolution, RESOLUTIONS)
    check_choice("channels", channels, (1, 2, 3, 4))


@torch.no_grad()
def init_weights(network: nn.Module) -> None:
    """Draw weights of convolutions from N(0, 0.02), and scales of norms from N(1, 0.02)."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, BatchNormAct2d):
            nn.init.normal_(cast(Tensor, module.weight), 1.0, 0.02)
