"""`biggan`: z and a shared class embedding in every block, orthogonal regularisation, truncation (Brock et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan.networks.resnet import BigGANGenerator, ResNetDiscriminator, init_orthogonal
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Networks
from fastgan.recipes.sagan import SAGAN


def truncated_normal(z: Tensor, threshold: float) -> Tensor:
    """Standard normal numbers as such that are drawn again until they lie in [-threshold, threshold], of the same order.

    ``Φ⁻¹(Φ(-t) + Φ(z)·(Φ(t) - Φ(-t)))``: the quantile of z, taken of the truncated distribution. So a seed's image changes
    smoothly with the threshold, and every number is drawn once.

    Args:
        z: of any shape, float32 or float64. threshold: t, more than 0.

    Returns:
        Of the shape and dtype of z.

    Raises:
        ValueError: threshold isn't more than 0.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be more than 0, got {threshold}")
    t = torch.tensor(threshold, dtype=torch.float64, device=z.device)
    low, high = torch.special.ndtr(-t), torch.special.ndtr(t)
    found = torch.special.ndtri(low + torch.special.ndtr(z.double()) * (high - low))
    return found.clamp(-t, t).to(z.dtype)


@dataclass(frozen=True, kw_only=True)
class BigGAN(SAGAN):
    """Brock 2019: SAGAN with wide networks, z and a shared class embedding in every block, orthogonal weights.

    The paper's batches are of 2048 images and its ch is 96 for both networks, a GPU's work.
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
    """Length of the embedding of a class, which all blocks of G share."""
    truncation: float | None = None
    """Threshold of z in samples: what is above is drawn again, for likelier images and fewer kinds; None for none."""

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
            f"at least {parts} at {images.resolution}×{images.resolution}, one part for 4×4 and each block",
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
        """Samples of z truncated at the recipe's threshold; `dataclasses.replace(recipe, truncation=0.5)` has another."""
        if self.truncation is not None:
            z = truncated_normal(z, self.truncation)
        return super().images_of(networks, z, *labels)
