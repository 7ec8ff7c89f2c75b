"""`stylegan2`: style-based generator with skips, lazy R1 and path length (Karras et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from fastgan.losses import penalties
from fastgan.networks.stylegan2 import RESOLUTIONS, StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.recipes.errors import RecipeError, one_of
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Augmentation, NoiseToImage, Penalty
from fastgan.recipes.players import Batch, DrawRequest, Networks, Regularizer
from fastgan.recipes.stabilizers import FixedSizeSettings
from fastgan.recipes.styles import StyleBatch, draw_mixing, mixed_styles


class PathLength(nn.Module):
    """Running mean of path lengths, kept in the checkpoint."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))


@dataclass(frozen=True, kw_only=True)
class StyleGAN2(FixedSizeSettings, NoiseToImage):
    """Karras 2020: modulated convolutions, skip G, residual D, lazy R1 and path length penalty."""

    name: ClassVar[str] = "stylegan2"
    summary: ClassVar[str] = "Karras 2020: styles, modulated convolutions, lazy R1 and path length"
    batch_type: ClassVar[type[Batch]] = StyleBatch
    carried: ClassVar[tuple[str, ...]] = ("path_length",)
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
    """Share of the images that take the styles of another z from some layer on."""
    path_length_weight: float | None = None
    """Weight of the path length penalty, a mean over layers; 0 for none, None is 2/resolution²."""
    path_length_every: int = 4
    """Steps between path length penalties."""
    path_length_decay: float = 0.99
    """Decay of the running mean of path lengths, per penalty."""
    path_length_shrink: int = 2
    """Divisor of the batch for the path length penalty."""
    group_size: int = 4
    """Images per group of minibatch stddev; 1 compares none."""
    num_fp16_res: int = 0
    """Highest resolutions that compute in float16, clamped at 256, on a GPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in ("fp32", "tf32"):
            raise RecipeError.of(
                "precision",
                f"fp32 or tf32 for {self.name}, which has its own mixed precision",
                self.precision,
                "use `num_fp16_res`, which keeps the layers of low resolution in float32",
            )
        self._require_at_least(
            1,
            "w_dim",
            "channel_max",
            "mapping_layers",
            "path_length_every",
            "path_length_shrink",
            "group_size",
        )
        piece, group = self.batch // self.accumulate, self.group_size
        self._require(
            "batch", piece <= group or piece % group == 0,
            f"such that the images computed at once are a multiple of `group_size`, {group}, or "
            "fewer",
        )  # fmt: skip
        self._require(
            "channel_base", self.channel_base is None or self.channel_base >= 8, "at least 8"
        )
        for setting in ("style_mixing", "w_avg_beta", "path_length_decay"):
            self._require(setting, 0 <= getattr(self, setting) <= 1, "at least 0 and at most 1")
        weight = self.path_length_weight
        self._require("path_length_weight", weight is None or 0 <= weight < math.inf, "at least 0")
        self._require_at_least(0, "num_fp16_res")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))
        most = RESOLUTIONS.index(images.resolution) + 1
        self._require(
            "num_fp16_res",
            self.num_fp16_res <= most,
            f"at most {most} at {images.resolution}×{images.resolution}",
        )
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
        clamp = 256.0 if self.num_fp16_res else None
        networks: dict[str, nn.Module] = {
            "G": StyleGAN2Generator(
                images.resolution, images.channels, z_dim=self.z_dim, w_dim=self.w_dim,
                c_dim=c_dim, mapping_layers=self.mapping_layers, w_avg_beta=self.w_avg_beta,
                channel_base=base, channel_max=self.channel_max, num_fp16_res=self.num_fp16_res,
                conv_clamp=clamp,
            ),
            "D": self.stabilized(
                StyleGAN2Discriminator(
                    images.resolution, images.channels, c_dim=c_dim,
                    mapping_layers=self.mapping_layers, channel_base=base,
                    channel_max=self.channel_max, group_size=self.group_size,
                    num_fp16_res=self.num_fp16_res, conv_clamp=clamp,
                )
            ),
            **self.extras(images),
        }  # fmt: skip
        if self.path_length_weight != 0:
            networks["path_length"] = PathLength()
        return networks

    def g_terms(self) -> tuple[Regularizer, ...]:
        if self.path_length_weight == 0:
            return ()
        return (Regularizer("path_length", self.path_length_loss, every=self.path_length_every),)

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw two z per image, and the crossover from the styles of one to those of the other."""
        rows = super().draw_noise(request)
        if self.style_mixing:
            rows |= draw_mixing(request, self.z_dim, self.style_mixing)
        return rows

    def styles(
        self, networks: Networks, batch: StyleBatch, *, update_w_avg: bool = False
    ) -> Tensor:
        """Return styles w `[N, num_ws, w_dim]` of the batch's z, mixed."""
        g, labels = _generator(networks), self.labels(batch)
        ws: Tensor = g.mapping(batch.noise, *labels, update_w_avg=update_w_avg)
        if self.style_mixing:
            others = g.mapping(batch.mixed_noise, *labels)
            ws = mixed_styles(ws, others, batch.crossover, ws.shape[1])
        return ws

    def generate(self, networks: Networks, batch: StyleBatch) -> Tensor:  # type: ignore[override]
        # Only D's phase updates the mean of w: every step has one, and it needs no gradient of G.
        ws = self.styles(networks, batch, update_w_avg=not torch.is_grad_enabled())
        images: Tensor = _generator(networks).synthesis(ws)
        return images

    def path_length_loss(self, networks: Networks, batch: StyleBatch) -> Tensor:
        """Return the weighted path length penalty of a part of the batch; update the mean."""
        part = slice(0, -(-len(batch.real) // self.path_length_shrink))
        ws = self.styles(networks, batch.rows(part))
        images = _generator(networks).synthesis(ws)
        running = cast(PathLength, networks["path_length"])
        penalty, mean = penalties.path_length(
            images, ws, torch.randn_like(images), running.mean, decay=self.path_length_decay
        )
        running.mean.copy_(mean)
        weight = self.path_length_weight
        if weight is None:
            weight = penalties.path_length_weight(images.shape[2] * images.shape[3])
        return weight * penalty

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
