"""Generator and discriminator of DCGAN (Radford et al. 2016, section 3 and figure 1).

All convolutions are 4×4 and have no bias. From 4×4 on, each stage of G doubles the resolution and
halves the channels, down to ``ngf`` channels at half the image's resolution. D mirrors G. At 64×64
with ngf = ndf = 64 the widths are the paper's, 512 at 4×4 → 256 → 128 → 64 → 3. No stage is wider
than 8·ngf, so at 128 and 256 the first stages keep the paper's 512 channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.networks.batch_comparison import BatchComparison
from fastgan.networks.checks import check_at_least, check_choice, check_shape, check_share
from fastgan.networks.labels import join_labels, label_embedding
from fastgan.networks.layout import in_fastest_layout
from fastgan.nn import BiasAct, Conv2d, ConvTranspose2d

__all__ = [
    "NORMS",
    "RESOLUTIONS",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "init_weights",
    "stage_widths",
]

RESOLUTIONS = (16, 32, 64, 128, 256)


def stage_widths(resolution: int, base: int) -> list[int]:
    """Return the channels at 4×4, 8×8, …, resolution/2.

    Raises:
        ValueError: ``resolution`` is not one of ``RESOLUTIONS``.
    """
    check_choice("resolution", resolution, RESOLUTIONS)
    # log2(resolution) - 2.
    stages = resolution.bit_length() - 3
    return [base * min(2**i, 8) for i in reversed(range(stages))]


class DCGANGenerator(nn.Module):
    """Map z ``[N, z_dim]`` to images ``[N, channels, resolution, resolution]`` in [-1, 1].

    Batch norm and ReLU follow every layer but the last, which has tanh alone.

    Args:
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        z_dim: length of z.
        ngf: channels before the last layer.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``,
            and a learned vector of length ``c_dim`` is appended to z.

    Raises:
        ValueError: an argument is out of range, z has another shape, or labels are missing, not
            wanted, out of range or of another shape.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = ("layers",)
    """Lists whose last layers networks of other resolutions share."""

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        *,
        z_dim: int = 100,
        ngf: int = 64,
        c_dim: int = 0,
    ) -> None:
        super().__init__()
        check_at_least(1, channels=channels, z_dim=z_dim, ngf=ngf)
        check_at_least(0, c_dim=c_dim)
        self.z_dim, self.c_dim = z_dim, c_dim
        widths = stage_widths(resolution, ngf)
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(zip([z_dim + c_dim, *widths], widths)):
            stride, padding = (2, 1) if i else (1, 0)
            layers += [
                ConvTranspose2d(fan_in, fan_out, 4, stride, padding, bias=False),
                nn.BatchNorm2d(fan_out),
                BiasAct(None, act="relu", gain=1),
            ]
        layers += [
            ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False),
            BiasAct(None, act="tanh"),
        ]
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)
        self.embedding = label_embedding(c_dim, c_dim)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        check_shape("z", z, self.z_dim)
        x = join_labels(z, labels, self.embedding)[:, :, None, None]
        for layer in self.layers:
            x = layer(in_fastest_layout(x))
        return x


class DCGANDiscriminator(nn.Module):
    """Map images ``[N, channels, resolution, resolution]`` in [-1, 1] to logits ``[N]``.

    LeakyReLU(0.2) follows every layer but the last, and a norm all but the first and the last.

    Args:
        resolution: 16, 32, 64, 128 or 256.
        channels: channels of the images.
        ndf: channels after the first layer.
        c_dim: number of classes, 0 for none. With classes the network takes labels int64 ``[N]``,
            and a learned plane of pixels per class is appended to the image.
        norm: ``batch`` as in the paper, ``layer`` over all features of an image (Ba et al. 2016),
            ``instance`` over each feature map (Ulyanov et al. 2016), all affine per channel; or
            ``none`` for biases. Critics under a gradient penalty take ``layer`` (Gulrajani et al.
            2017, section 4).
        dropout: probability after each activation, in [0, 1).
        minibatch_discrimination: kernels that compare the images of a batch, 0 for none.
        minibatch_stddev: images per group of :func:`fastgan.ops.minibatch_stddev`, 0 for none.

    Raises:
        ValueError: an argument is out of range, images have another shape, or labels are missing,
            not wanted, out of range or of another shape.
    """

    def __init__(
        self,
        resolution: int = 64,
        channels: int = 3,
        *,
        ndf: int = 64,
        c_dim: int = 0,
        norm: str = "batch",
        dropout: float = 0.0,
        minibatch_discrimination: int = 0,
        minibatch_stddev: int = 0,
    ) -> None:
        super().__init__()
        check_choice("norm", norm, (*NORMS, "none"))
        check_at_least(1, channels=channels, ndf=ndf)
        check_at_least(0, c_dim=c_dim)
        check_share(dropout=dropout)
        self.c_dim, self.image_shape = c_dim, (channels, resolution, resolution)
        widths = stage_widths(resolution, ndf)[::-1]
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(zip([channels + bool(c_dim), *widths], widths)):
            layers.append(Conv2d(fan_in, fan_out, 4, 2, 1, bias=False))
            if i and norm != "none":
                layers.append(NORMS[norm](fan_out))
            layers.append(BiasAct(fan_out if norm == "none" else None, act="lrelu", gain=1))
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(Conv2d(widths[-1] + bool(minibatch_stddev), 1, 4, bias=False))
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)
        self.comparison = BatchComparison(
            16 * widths[-1], minibatch_discrimination, minibatch_stddev
        )
        self.embedding = label_embedding(c_dim, resolution**2)

    def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the input of the last layer, ``[N, C, 4, 4]``."""
        check_shape("images", images, *self.image_shape)
        x = join_labels(images, labels, self.embedding)
        for layer in list(self.layers)[:-1]:
            x = layer(in_fastest_layout(x))
        return x

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.features(images, labels)
        logits: Tensor = self.layers[-1](self.comparison.append_stddev(x))
        return self.comparison.add_closeness(logits.flatten(), x)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}
"""Constructors of norms for a number of channels, by name."""


@torch.no_grad()
def init_weights(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02) and batch norm scales from N(1, 0.02), in place."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
