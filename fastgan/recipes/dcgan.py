"""`dcgan`: deep convolutional GAN (Radford, Metz, Chintala 2016).

A step is one update of each player, with z ~ N(0, I) and the losses of Goodfellow et al. 2014:

- D descends -E[log D(x)] - E[log(1 - D(G(z)))] (eq. 1).
- G descends -E[log D(G(z))] (section 3).

The networks have strided convolutions and batch norm, without it in G's last and D's first layer
(Radford et al., section 3). Adam's settings are those of section 4. `fastgan.recipes.noise` takes
the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from fastgan.networks.dcgan import RESOLUTIONS, DCGANDiscriminator, DCGANGenerator
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import NoiseToImage
from fastgan.recipes.presets import Preset, conv_width
from fastgan.recipes.stabilizers import (
    FeatureMatchingSettings,
    FixedSizeSettings,
    MinibatchSettings,
)

Norm = Literal["batch", "layer", "instance", "none"]


@dataclass(frozen=True, kw_only=True)
class DCGAN(FeatureMatchingSettings, MinibatchSettings, FixedSizeSettings, NoiseToImage):
    """Radford 2016: strided convolutions, batch norm, Adam 2e-4 with β1 0.5, widths of 64."""

    name: ClassVar[str] = "dcgan"
    summary: ClassVar[str] = "Radford 2016: strided convolutions with batch norm"

    ngf: int = 64
    """Channels of G's last hidden layer; each earlier layer has twice as many, up to 8 times."""
    ndf: int = 64
    """Channels of D's first layer; each later layer has twice as many, up to 8 times."""
    d_norm: Norm = "batch"
    """Norm in D, except in its first and last layer; choose layer for gradient penalties."""
    d_dropout: float = 0.0
    """Dropout after each activation of D; 0 for none."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        width = conv_width(resolution)
        return Preset(60_000, {"ngf": width, "ndf": width, "batch": 32, "lr": 4e-4, "ema": 0.995})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf")
        self._require("d_dropout", 0 <= self.d_dropout < 1, "at least 0 and less than 1")

    @property
    def has_batch_norm(self) -> bool:
        return True

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        size, c_dim = (images.resolution, images.channels), self.classes(images)
        return {
            "G": DCGANGenerator(*size, z_dim=self.z_dim, ngf=self.ngf, c_dim=c_dim),
            "D": self.stabilized(
                DCGANDiscriminator(
                    *size, ndf=self.ndf, c_dim=c_dim, norm=self.d_norm, dropout=self.d_dropout,
                    minibatch_discrimination=self.minibatch_discrimination,
                    minibatch_stddev=self.minibatch_stddev,
                )
            ),
            **self.extras(images),
        }  # fmt: skip
