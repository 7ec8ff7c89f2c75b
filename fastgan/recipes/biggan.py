"""`biggan`: large class-conditional GAN (Brock et al. 2019).

A step is two updates of D, then one of G, with labels y of the real images:

- D descends E[max(0, 1 - D(x, y))] + E[max(0, 1 + D(G(z, y), y))].
- G descends -E[D(G(z, y), y)] + β·Σ ‖WᵀW ⊙ (1 - I)‖² over its weights W (eq. 3).

G takes a part of z and a shared class embedding in every block (section 3 and appendix B). Eq. 3
keeps samples usable whose z is truncated (section 3.1). `fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.networks.resnet import BigGANGenerator, ResNetDiscriminator, init_orthogonal
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Networks
from fastgan.recipes.presets import Preset
from fastgan.recipes.sagan import SAGAN


def truncated_normal(z: Tensor, threshold: float) -> Tensor:
    """Map standard normal numbers to a normal distribution truncated to [-threshold, threshold].

    The result is ``Φ⁻¹(Φ(-t) + Φ(z)·(Φ(t) - Φ(-t)))``, the quantile of z in the truncated
    distribution. The map is increasing, so images of a seed change smoothly with the threshold. It
    needs no rejection sampling.

    Args:
        z: standard normal numbers of any shape, float32 or float64.
        threshold: t, above 0.

    Returns:
        Truncated numbers in the shape and dtype of z.

    Raises:
        ValueError: threshold isn't above 0.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be more than 0, got {threshold}")
    t = torch.tensor(threshold, dtype=torch.float64, device=z.device)
    low, high = torch.special.ndtr(-t), torch.special.ndtr(t)
    truncated = torch.special.ndtri(low + torch.special.ndtr(z.double()) * (high - low))
    return truncated.clamp(-t, t).to(z.dtype)


@dataclass(frozen=True, kw_only=True)
class BigGAN(SAGAN):
    """Brock 2019: wide SAGAN, z and a shared class embedding in every block, orthogonal weights.

    The paper uses batches of 2048 images and 96 channels in both networks, which takes GPUs.
    """

    name: ClassVar[str] = "biggan"
    summary: ClassVar[str] = (
        "Brock 2019: z and a shared class embedding in every block, orthogonal weights, truncation"
    )
    attends_up_to: ClassVar[int] = 64

    z_dim: int = 120
    lr: float = 5e-5
    d_lr: float | None = 2e-4
    betas: tuple[float, float] = (0.0, 0.999)
    n_critic: int = 2
    ema: float = 0.9999
    orthogonal: float = 1e-4
    ngf: int = 96
    ndf: int = 96
    embedding_dim: int = 128
    """Length of the class embedding that all blocks of G share."""
    truncation: float | None = None
    """Bound of z in samples: lower is more typical and less varied; None truncates nothing."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            "ngf": 8,
            "ndf": 16,
            "z_dim": 64,
            "batch": 32,
            "lr": 5e-4,
            "d_lr": 1e-3,
            "embedding_dim": 32,
            "ema": 0.99,
        }
        return Preset(60_000, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "embedding_dim")
        self._require("truncation", self.truncation is None or self.truncation > 0, "more than 0")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        parts = BigGANGenerator.parts_at(images.resolution)
        self._require(
            "z_dim",
            self.z_dim >= parts,
            f"at least {parts} at {images.resolution}×{images.resolution}, one part for 4×4 and "
            "each block",
        )

    def generator(self, images: ImageSpec) -> nn.Module:
        return self.normalised(
            BigGANGenerator(
                images.resolution, images.channels, z_dim=self.z_dim, c_dim=self.classes(images),
                embedding_dim=self.embedding_dim, ngf=self.ngf, attention=self.attention_at(images),
            )
        )  # fmt: skip

    def discriminator(self, images: ImageSpec) -> nn.Module:
        network = ResNetDiscriminator(
            images.resolution, images.channels, c_dim=self.classes(images), ndf=self.ndf,
            attention=self.attention_at(images), wide=True,
        )  # fmt: skip
        return network.apply(init_orthogonal)

    @property
    def noise_meaning(self) -> str:
        if self.truncation is None:
            return super().noise_meaning
        return f"noise, truncated to [-{self.truncation}, {self.truncation}] in samples"

    def images_of(self, networks: Networks, z: Tensor, *labels: Tensor) -> Tensor:
        """Return samples of z, truncated at the recipe's threshold.

        `dataclasses.replace(recipe, truncation=0.5)` samples with another threshold.
        """
        if self.truncation is not None:
            z = truncated_normal(z, self.truncation)
        return super().images_of(networks, z, *labels)
