"""`progan`: progressive growing (Karras et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fastgan.networks.progan import ProGANDiscriminator, ProGANGenerator
from fastgan.recipes.growing import Growing, at_lowest_resolution
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Penalty


@dataclass(frozen=True, kw_only=True)
class ProGAN(Growing):
    """Karras 2018: growth from 4×4, equalised learning rates, minibatch stddev, drift, WGAN-GP."""

    name: ClassVar[str] = "progan"
    summary: ClassVar[str] = "Karras 2018: grows from 4×4 to the images' resolution, WGAN-GP"
    default_images: ClassVar[int] = 12_000_000

    loss: Adversarial = "wasserstein"
    penalty: Penalty = "wgan-gp"
    drift: float = 0.001

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        g = ProGANGenerator(
            images.resolution, images.channels, z_dim=self.z_dim, c_dim=self.classes(images),
            channel_base=self.channel_base, channel_max=self.channel_max,
        )  # fmt: skip
        d = ProGANDiscriminator(
            images.resolution, images.channels, c_dim=self.classes(images),
            group_size=self.group_size, channel_base=self.channel_base,
            channel_max=self.channel_max,
        )  # fmt: skip
        return {
            "G": at_lowest_resolution(g),
            "D": at_lowest_resolution(d),
            **self.extras(images),
        }
