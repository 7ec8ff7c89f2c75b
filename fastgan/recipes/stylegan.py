"""`stylegan`: a style-based generator that grows (Karras et al. 2019).

A step is one update of each player. G maps z ~ N(0, I) to w, and each layer takes its style from w
by AdaIN (section 2, eq. 1). A share of the images takes the styles of another z from some layer on
(section 3.1). With s(t) = log(1 + exp(t)):

- D descends E[s(-D(x))] + E[s(D(G(z)))] + γ/2·E[‖∇D(x)‖²] (Mescheder et al. 2018, eq. 9).
- G descends E[s(-D(G(z)))].

Both grow as in `progan`, from 8×8 on (appendix C). Samples may take w towards its mean w̄, as
w̄ + ψ·(w - w̄) (appendix B). `fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from fastgan.networks.progan import ProGANDiscriminator
from fastgan.networks.stylegan import BILINEAR, LOWEST, StyleGANGenerator
from fastgan.recipes.growing import Growing, at_lowest_resolution
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Penalty
from fastgan.recipes.players import Batch, DrawRequest, Networks
from fastgan.recipes.presets import Preset, narrow
from fastgan.recipes.stabilizers import StyleMixingSettings
from fastgan.recipes.styles import StyleBatch, per_micro_batch


@dataclass(frozen=True, kw_only=True)
class StyleGAN(StyleMixingSettings, Growing):
    """Karras 2019: mapping network, AdaIN, noise, style mixing, growth from 8×8, R1."""

    name: ClassVar[str] = "stylegan"
    summary: ClassVar[str] = "Karras 2019: styles by AdaIN, noise, grows from 8×8, R1"
    lowest: ClassVar[int] = LOWEST
    batch_type: ClassVar[type[Batch]] = StyleBatch
    default_images: ClassVar[int] = 25_000_000

    loss: Adversarial = "non-saturating"
    penalty: Penalty = "r1"
    full_precision: tuple[Literal["D"], ...] = ()
    """Networks that stay in float32 under bf16 and fp16: D, since G runs in parts."""
    w_dim: int = 512
    """Length of the style vector w."""
    mapping_layers: int = 8
    """Layers of the mapping network."""
    w_avg_beta: float = 0.998
    """Decay per step of the mean of w, the centre of truncation."""
    style_mixing: float = 0.9

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            **narrow(resolution),
            "z_dim": 64,
            "w_dim": 64,
            "mapping_layers": 2,
            "batch": 16,
            "penalty_weight": 1.0,
            "style_mixing": 0.0,
            "stable_kimg": 10.0,
            "fade_kimg": 5.0,
            "lr": 3e-3,
            "ema": 0.995,
        }
        # 15,000 images for each resolution from 8×8 on, then 15,000 more.
        return Preset(15_000 * (resolution.bit_length() - 2), settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "w_dim", "mapping_layers")
        self._require("w_avg_beta", 0 <= self.w_avg_beta <= 1, "at least 0 and at most 1")

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        g = StyleGANGenerator(
            images.resolution, images.channels, z_dim=self.z_dim, w_dim=self.w_dim,
            c_dim=self.classes(images), mapping_layers=self.mapping_layers,
            w_avg_beta=per_micro_batch(self.w_avg_beta, self.accumulate),
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
        mixing = self.stabilizers.style_mixing
        return {**super().draw_noise(request), **mixing.draw(request, self.z_dim)}

    def generate(self, networks: Networks, batch: StyleBatch) -> Tensor:  # type: ignore[override]
        g, labels = cast(StyleGANGenerator, networks["G"]), self.labels(batch)
        # Only D's phase updates the mean of w: every step has one, and it needs no gradient of G.
        ws = g.mapping(batch.noise, *labels, update_w_avg=not torch.is_grad_enabled())
        ws = self.stabilizers.style_mixing.mix(
            ws,
            lambda: g.mapping(batch.mixed_noise, *labels),
            batch.crossover,
            g.synthesis.active,
        )
        images: Tensor = g.synthesis(ws, enlarge=False)
        return images

    def images_of(self, networks: Networks, z: Tensor, *labels: Tensor) -> Tensor:
        images: Tensor = networks["G"](z, *labels, noise_mode="const")
        return images
