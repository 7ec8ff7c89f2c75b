"""`dcgan`: deep convolutional GAN (Radford, Metz, Chintala 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fastgan.networks.dcgan import RESOLUTIONS, DCGANDiscriminator, DCGANGenerator
from fastgan.recipes.base import ImageSpec, RecipeError
from fastgan.recipes.noise import NoiseToImage


@dataclass(frozen=True, kw_only=True)
class DCGAN(NoiseToImage):
    """Radford 2016: strided convolutions, batch norm, Adam 2e-4 with β1 0.5. The paper's widths are 64."""

    name: ClassVar[str] = "dcgan"
    summary: ClassVar[str] = "Radford 2016: strided convolutions with batch norm"

    ngf: int = 64
    """Channels of G's last hidden layer; each layer before it has twice as many, up to 8 times."""
    ndf: int = 64
    """Channels of D's first layer; each layer after it has twice as many, up to 8 times."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("ngf", self.ngf >= 1, "at least 1")
        self._require("ndf", self.ndf >= 1, "at least 1")

    def check_images(self, images: ImageSpec) -> None:
        if images.resolution not in RESOLUTIONS:
            raise RecipeError(
                f"dcgan needs a resolution that is one of {', '.join(map(str, RESOLUTIONS))}, but "
                f"{images.resolution} came: choose one with --resolution."
            )

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        return {
            "G": DCGANGenerator(images.resolution, images.channels, z_dim=self.z_dim, ngf=self.ngf),
            "D": self.stabilized(DCGANDiscriminator(images.resolution, images.channels, ndf=self.ndf)),
            **self.augmentation(images),
        }
