"""DCGAN's generator and discriminator (Radford, Metz, Chintala 2016, section 3 and figure 1).

All convolutions are 4×4 and bias-free. From 4×4 on, each stage of G doubles the resolution and halves the
channels, ending with `ngf` channels at half the image's resolution; D mirrors it. At 64×64 with ngf = ndf =
64 that is the paper's 512·4·4 → 256 → 128 → 64 → 3. No stage is wider than 8·ngf, so at 128 and 256 the
first ones keep the paper's 512 channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.networks.batch_comparison import BatchComparison
from fastgan.networks.labels import join_labels, label_embedding
from fastgan.nn import BiasAct, Conv2d

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
    """Channels at 4×4, 8×8, …, resolution/2. Raises ValueError unless resolution is one of RESOLUTIONS."""
    if resolution not in RESOLUTIONS:
        raise ValueError(f"DCGAN's resolution must be one of {RESOLUTIONS}, not {resolution}")
    stages = resolution.bit_length() - 3  # log2(resolution) - 2
    return [base * min(2**i, 8) for i in reversed(range(stages))]


class DCGANGenerator(nn.Module):
    """z `[N, z_dim]` → images `[N, channels, resolution, resolution]` in [-1, 1].

    Batch norm and ReLU after every layer but the last, which is tanh without batch norm. With c_dim classes it takes
    their labels int64 `[N]` too, and joins a learned vector of c_dim numbers to z.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = (
        "layers",
    )  # lists that other resolutions share the ends of

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
        self.z_dim, self.c_dim = z_dim, c_dim
        widths = stage_widths(resolution, ngf)
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(zip([z_dim + c_dim, *widths], widths)):
            stride, padding = (2, 1) if i else (1, 0)
            layers += [
                nn.ConvTranspose2d(fan_in, fan_out, 4, stride, padding, bias=False),
                nn.BatchNorm2d(fan_out),
                BiasAct(None, act="relu", gain=1),
            ]
        layers += [
            nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False),
            BiasAct(None, act="tanh"),
        ]
        self.layers = nn.Sequential(*layers)
        self.apply(init_weights)
        self.embedding = label_embedding(c_dim, c_dim)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(join_labels(z, labels, self.embedding)[:, :, None, None])
        return images


class DCGANDiscriminator(nn.Module):
    """Images `[N, channels, resolution, resolution]` in [-1, 1] → logits `[N]`.

    LeakyReLU(0.2) after every layer but the last, a norm in all but the first and the last. With c_dim classes it takes
    their labels int64 `[N]` too, and sees a learned plane of pixels per class beside the image.

    Args:
        norm: `batch` as the paper has it; `layer`, over all of one image's features (Ba et al. 2016), which critics under a
            gradient penalty take (Gulrajani et al. 2017, section 4); `instance`, over each feature map alone (Ulyanov et
            al. 2016); `none`, with biases in its place. Affine per channel.
        dropout: probability after each activation, in [0, 1).
        minibatch_discrimination: kernels that compare the images of a batch before the last layer; 0 for none.
        minibatch_stddev: images per group that `fastgan.ops.minibatch_stddev` compares before the last layer; 0 for none.
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
        self.c_dim = c_dim
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
        """What the last layer sees, `[N, C, 4, 4]`."""
        x = join_labels(images, labels, self.embedding)
        for layer in list(self.layers)[:-1]:
            x = layer(x)
        return x

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.features(images, labels)
        logits: Tensor = self.layers[-1](self.comparison.joined(x))
        return self.comparison.added(logits.flatten(), x)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}
"""Layers that normalise so many channels, by name."""


@torch.no_grad()
def init_weights(module: nn.Module) -> None:
    """Draws convolution weights from N(0, 0.02) and batch norm scales from N(1, 0.02), in place."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
