"""`stylegan`: a style-based generator that grows (Karras et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from fastgan.networks.progan import ProGANDiscriminator
from fastgan.networks.stylegan import BILINEAR, LOWEST, StyleGANGenerator
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.growing import Growing, at_lowest_resolution
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Penalty
from fastgan.recipes.players import Batch, DrawRequest, Networks
from fastgan.recipes.styles import StyleBatch, draw_mixing, mixed_styles


@dataclass(frozen=True, kw_only=True)
class StyleGAN(Growing):
    """Karras 2019: mapping network, AdaIN, noise, style mixing, growth from 8×8, R1."""

    name: ClassVar[str] = "stylegan"
    summary: ClassVar[str] = "Karras 2019: styles by AdaIN, noise, grows from 8×8, R1"
    lowest: ClassVar[int] = LOWEST
    batch_type: ClassVar[type[Batch]] = StyleBatch
    default_images: ClassVar[int] = 25_000_000

    loss: Adversarial = "non-saturating"
    penalty: Penalty = "r1"
    w_dim: int = 512
    """Length of the style vector w."""
    mapping_layers: int = 8
    """Layers of the mapping network."""
    w_avg_beta: float = 0.998
    """Decay per step of the mean of w, the centre of truncation."""
    style_mixing: float = 0.9
    """Share of the images that take the styles of another z from some layer on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "w_dim", "mapping_layers")
        for setting in ("style_mixing", "w_avg_beta"):
            self._require(setting, 0 <= getattr(self, setting) <= 1, "at least 0 and at most 1")
        if "G" in self.full_precision:
            raise RecipeError.of(
                "full_precision",
                f"without G for {self.name}, which runs G in parts",
                self.full_precision,
                "leave G out",
            )

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        g = StyleGANGenerator(
            images.resolution, images.channels, z_dim=self.z_dim, w_dim=self.w_dim,
            c_dim=self.classes(images), mapping_layers=self.mapping_layers,
            w_avg_beta=self.w_avg_beta,
            channel_base=self.channel_base, channel_max=self.channel_max,
        )  # fmt: skip
        d = ProGANDiscriminator(
            images.resolution, images.channels, c_dim=self.classes(images),
            group_size=self.group_size, channel_base=self.channel_base,
            channel_max=self.channel_max, lowest=LOWEST, resample_filter=BILINEAR,
        )  # fmt: skip
        return {
            "G": at_lowest_resolution(g),
            "D": at_lowest_resolution(d),
            **self.extras(images),
        }

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw two z per image, and the crossover from the styles of one to those of the other."""
        rows = super().draw_noise(request)
        if self.style_mixing:
            rows |= draw_mixing(request, self.z_dim, self.style_mixing)
        return rows

    def generate(self, networks: Networks, batch: StyleBatch) -> Tensor:  # type: ignore[override]
        g, labels = cast(StyleGANGenerator, networks["G"]), self.labels(batch)
        # Only D's phase updates the mean of w: every step has one, and it needs no gradient of G.
        ws = g.mapping(batch.noise, *labels, update_w_avg=not torch.is_grad_enabled())
        if self.style_mixing:
            others = g.mapping(batch.mixed_noise, *labels)
            ws = mixed_styles(ws, others, batch.crossover, g.synthesis.active)
        images: Tensor = g.synthesis(ws, enlarge=False)
        return images

    def images_of(self, networks: Networks, z: Tensor, *labels: Tensor) -> Tensor:
        images: Tensor = networks["G"](z, *labels, noise_mode="const")
        return images
