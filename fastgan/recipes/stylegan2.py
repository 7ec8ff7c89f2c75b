"""`stylegan2`: modulated convolutions, lazy R1 and path length (Karras et al. 2020).

A step is one update of each player. G maps z ~ N(0, I) to w, which scales the weights of each
convolution: w' = s·w, divided by its norm √(Σ w'² + ε) (section 2.2, eq. 1 to 3). A share of the
images takes the styles of another z from some layer on. With s(t) = log(1 + exp(t)):

- D descends E[s(-D(x))] + E[s(D(G(z)))].
- G descends E[s(-D(G(z)))].

Regularisers have updates of their own, times their interval (section 3.1, appendix B):

- D descends γ/2·E[‖∇D(x)‖²] every 16 steps (R1).
- G descends E[(‖J_wᵀy‖ - a)²] every 4 steps, with y ~ N(0, I) and the running mean a of the norms
  (section 3.2, eq. 4).

`stylegan2-ada` shows D augmented images alone. Their probability p moves so that r = E[sign D(x)]
keeps to a target (Karras et al. 2020b, section 3, eq. 1). `fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from fastgan.networks.stylegan2 import RESOLUTIONS, StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.recipes.errors import one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Augmentation, NoiseToImage, Penalty
from fastgan.recipes.players import Batch, DrawRequest, Networks, Regularizer
from fastgan.recipes.presets import Preset, narrow
from fastgan.recipes.stabilizers import (
    EqualizedSettings,
    PathLengthSettings,
    StyleMixingSettings,
)
from fastgan.recipes.stabilizers.styles import MEAN
from fastgan.recipes.styles import ClampedHalfSettings, StyleBatch, per_micro_batch


@dataclass(frozen=True, kw_only=True)
class StyleGAN2(
    ClampedHalfSettings, PathLengthSettings, StyleMixingSettings, EqualizedSettings, NoiseToImage
):
    """Karras 2020: modulated convolutions, skip G, residual D, lazy R1 and path length penalty."""

    name: ClassVar[str] = "stylegan2"
    summary: ClassVar[str] = "Karras 2020: styles, modulated convolutions, lazy R1 and path length"
    batch_type: ClassVar[type[Batch]] = StyleBatch
    carried: ClassVar[tuple[str, ...]] = (MEAN,)
    default_images: ClassVar[int] = 25_000_000

    batch: int = 32
    z_dim: int = 512
    lr: float = 2e-3
    betas: tuple[float, float] = (0.0, 0.99)
    ema_kimg: float = 10.0
    loss: Adversarial = "non-saturating"
    penalty: Penalty = "r1"
    penalty_weight: float | None = None
    """Weight of the penalty, λ or γ; None is 10 at 1024×1024, and proportional to the pixels."""
    penalty_every: int = 16
    w_dim: int = 512
    """Length of the style vector w."""
    channel_base: int | None = None
    """Channels times resolution; None takes 32768 from 512×512 on and 16384 below."""
    channel_max: int = 512
    """Most channels of a layer."""
    mapping_layers: int = 8
    """Layers of the mapping network."""
    w_avg_beta: float = 0.998
    """Decay per step of the mean of w, the centre of truncation."""
    style_mixing: float = 0.9
    path_length_weight: float | None = None
    group_size: int = 4
    """Images per group of minibatch stddev; 1 compares none."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        return _small(resolution)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "w_dim", "channel_max", "mapping_layers", "group_size")
        self._require_whole_groups(self.group_size)
        self._require(
            "channel_base", self.channel_base is None or self.channel_base >= 8, "at least 8"
        )
        self._require("w_avg_beta", 0 <= self.w_avg_beta <= 1, "at least 0 and at most 1")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))
        self._require(
            "channel_base",
            self.channel_base is None or self.channel_base >= images.resolution,
            f"at least the resolution, {images.resolution}",
        )

    def resolved(self, images: ImageSpec) -> dict[str, int]:
        usual = 32768 if images.resolution >= 512 else 16384
        return {"channel_base": usual} if self.channel_base is None else {}

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        base = self.channel_base or self.resolved(images)["channel_base"]
        c_dim = self.classes(images)
        return {
            "G": StyleGAN2Generator(
                images.resolution, images.channels, z_dim=self.z_dim, w_dim=self.w_dim,
                c_dim=c_dim, mapping_layers=self.mapping_layers,
                w_avg_beta=per_micro_batch(self.w_avg_beta, self.accumulate),
                channel_base=base, channel_max=self.channel_max,
                half_resolutions=self.half_resolutions, conv_clamp=self.conv_clamp,
            ),
            "D": StyleGAN2Discriminator(
                images.resolution, images.channels, c_dim=c_dim,
                mapping_layers=self.mapping_layers, channel_base=base,
                channel_max=self.channel_max, group_size=self.group_size,
                half_resolutions=self.half_resolutions, conv_clamp=self.conv_clamp,
            ),
            **self.extras(images),
            **self.stabilizers.path_length.modules(),
        }  # fmt: skip

    def g_terms(self) -> tuple[Regularizer, ...]:
        return self.stabilizers.path_length.terms(self.paths)

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw two z per image, and the crossover from the styles of one to those of the other."""
        mixing = self.stabilizers.style_mixing
        return {**super().draw_noise(request), **mixing.draw(request, self.z_dim)}

    def styles(
        self, networks: Networks, batch: StyleBatch, *, update_w_avg: bool = False
    ) -> Tensor:
        """Return styles w `[N, num_ws, w_dim]` of the batch's z, mixed."""
        g, labels = _generator(networks), self.labels(batch)
        ws: Tensor = g.mapping(batch.noise, *labels, update_w_avg=update_w_avg)
        return self.stabilizers.style_mixing.mix(
            ws,
            lambda: cast(Tensor, g.mapping(batch.mixed_noise, *labels)),
            batch.crossover,
            ws.shape[1],
        )

    def generate(self, networks: Networks, batch: StyleBatch) -> Tensor:  # type: ignore[override]
        # Only D's phase updates the mean of w: every step has one, and it needs no gradient of G.
        ws = self.styles(networks, batch, update_w_avg=not torch.is_grad_enabled())
        images: Tensor = _generator(networks).synthesis(ws)
        return images

    def paths(self, networks: Networks, batch: StyleBatch) -> tuple[Tensor, Tensor]:
        """Return images of the batch with their graph, and their styles."""
        ws = self.styles(networks, batch)
        return _generator(networks).synthesis(ws), ws

    def default_penalty_weight(self, images: Tensor) -> float:
        return 10.0 * images.shape[2] * images.shape[3] / 1024**2

    def images_of(self, networks: Networks, z: Tensor, *labels: Tensor) -> Tensor:
        images: Tensor = networks["G"](z, *labels, noise_mode="const")
        return images


def _generator(networks: Networks) -> StyleGAN2Generator:
    return cast(StyleGAN2Generator, networks["G"])


@dataclass(frozen=True, kw_only=True)
class StyleGAN2ADA(StyleGAN2):
    """Karras 2020b: StyleGAN2 for small data sets; augmentation adapts to D's overfitting."""

    name: ClassVar[str] = "stylegan2-ada"
    summary: ClassVar[str] = "Karras 2020b: StyleGAN2 with adaptive augmentation, for few images"

    augment: Augmentation = "ada"
    mirror: bool = True

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        # Digits have a left and a right.
        return _small(resolution, mirror=False)


def _small(resolution: int, **more: Any) -> Preset:
    settings = {
        **narrow(resolution),
        "z_dim": 64,
        "w_dim": 64,
        "mapping_layers": 2,
        "batch": 16,
        "group_size": 16,
        "penalty_weight": max(1.0, resolution / 32),
        "penalty_every": 1,
        "path_length_weight": 0.0,
        "style_mixing": 0.0,
        "lr": 3e-3,
        **more,
    }
    return Preset(80_000, settings)
