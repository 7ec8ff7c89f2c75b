"""`sagan`: self-attention, spectral norm in both networks, two time scales (Zhang et al. 2019).

A step is one update of each player with labels y of the real images, D four times as fast:

- D descends E[max(0, 1 - D(x, y))] + E[max(0, 1 + D(G(z, y), y))] (eq. 4).
- G descends -E[D(G(z, y), y)] (eq. 4).

One layer of each network attends to all pixels (eq. 1 to 3): y = γ·o + x, where γ starts at 0. In
o, values are weighted by a softmax of products of queries and keys. All weights are divided by
their spectral norms (section 4.1), and rates are of two time scales (section 4.2).
`fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fastgan.networks.resnet import ResNetDiscriminator, ResNetGenerator, attention_resolutions
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.presets import Preset
from fastgan.recipes.sngan import SNGAN


@dataclass(frozen=True, kw_only=True)
class SAGAN(SNGAN):
    """Zhang 2019: conditional; self-attention and spectral norm in G and D, two time scales."""

    name: ClassVar[str] = "sagan"
    summary: ClassVar[str] = "Zhang 2019: self-attention, spectral norm in G and D, two time scales"
    attends_up_to: ClassVar[int] = 32

    lr: float = 1e-4
    d_lr: float | None = 4e-4
    n_critic: int = 1
    conditional: bool = True
    g_spectral_norm: bool = True
    """Divide each weight of G by its spectral norm too."""
    attention: int | None = None
    """Resolution of self-attention, at most half the image's; 0 for none, None for the paper's."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {"ngf": 8, "ndf": 16, "z_dim": 64, "batch": 32, "lr": 5e-4, "d_lr": 1e-3}
        return Preset(60_000, settings)

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        possible = attention_resolutions(images.resolution)
        if self.attention and self.attention not in possible:
            resolutions = ", ".join(map(str, possible))
            raise RecipeError.of(
                "attention",
                f"0 or a resolution inside of both networks, {resolutions} for "
                f"{images.resolution}×{images.resolution} images",
                self.attention,
            )

    def attention_at(self, images: ImageSpec) -> int | None:
        """Return the resolution of self-attention, None for none."""
        if self.attention is None:
            return min(self.attends_up_to, images.resolution // 2)
        return self.attention or None

    def generator(self, images: ImageSpec) -> nn.Module:
        return self.normalised(
            ResNetGenerator(
                images.resolution, images.channels, z_dim=self.z_dim, c_dim=self.classes(images),
                ngf=self.ngf, attention=self.attention_at(images),
            )
        )  # fmt: skip

    def normalised(self, generator: nn.Module) -> nn.Module:
        """Return G with spectral norm if `g_spectral_norm`."""
        return apply_spectral_norm(generator) if self.g_spectral_norm else generator

    def discriminator(self, images: ImageSpec) -> nn.Module:
        return ResNetDiscriminator(
            images.resolution, images.channels, c_dim=self.classes(images), ndf=self.ndf,
            attention=self.attention_at(images),
        )  # fmt: skip
