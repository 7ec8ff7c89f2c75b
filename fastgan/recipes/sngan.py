"""`sngan`: residual networks, spectral norm in D, hinge loss (Miyato et al. 2018).

A step is `n_critic` updates of D, whose weights are divided by their spectral norms, then one of G:

- D descends E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (eq. 16).
- G descends -E[D(G(z))] (eq. 17).

`fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fastgan.networks.resnet import RESOLUTIONS, ResNetDiscriminator, ResNetGenerator
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, NoiseToImage
from fastgan.recipes.presets import Preset
from fastgan.recipes.stabilizers import FeatureMatchingSettings, FixedSizeSettings


@dataclass(frozen=True, kw_only=True)
class SNGAN(FeatureMatchingSettings, FixedSizeSettings, NoiseToImage):
    """Miyato 2018: residual blocks, spectral norm in D, hinge loss, five updates of D per step.

    With `conditional`, G's batch norms and a projection in D know the class (Miyato and Koyama
    2018).
    """

    name: ClassVar[str] = "sngan"
    summary: ClassVar[str] = "Miyato 2018: residual networks, spectral norm in D, hinge loss"

    z_dim: int = 128
    lr: float = 2e-4
    betas: tuple[float, float] = (0.0, 0.9)
    loss: Adversarial = "hinge"
    n_critic: int = 5
    spectral_norm: bool = True
    ngf: int = 64
    """Channels of G at full resolution, up to 16 times as many below; 4 times up to 32×32."""
    ndf: int = 64
    """Channels of D's first block, up to 16 times as many later; twice as many up to 32×32."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {"ngf": 8, "ndf": 16, "z_dim": 64, "batch": 32, "lr": 5e-4, "n_critic": 2}
        return Preset(60_000, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "ngf", "ndf")

    @property
    def has_batch_norm(self) -> bool:
        return True

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        return {
            "G": self.generator(images),
            "D": self.stabilized(self.discriminator(images)),
            **self.extras(images),
        }

    def generator(self, images: ImageSpec) -> nn.Module:
        """Return G for images of this shape."""
        return ResNetGenerator(
            images.resolution,
            images.channels,
            z_dim=self.z_dim,
            c_dim=self.classes(images),
            ngf=self.ngf,
        )

    def discriminator(self, images: ImageSpec) -> nn.Module:
        """Return D for images of this shape, before options change it."""
        return ResNetDiscriminator(
            images.resolution, images.channels, c_dim=self.classes(images), ndf=self.ndf
        )
