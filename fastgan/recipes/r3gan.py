"""`r3gan`: relativistic loss with R1 and R2, modern residual networks (Huang et al. 2024).

A step is one update of each player, with z ~ N(0, I) and f(t) = -log(1 + exp(-t)):

- D ascends E[f(D(x) - D(G(z)))], minus γ/2 each of E‖∇D(x)‖² (R1) and E‖∇D(G(z))‖² (R2).
- G ascends E[f(D(G(z)) - D(x))].

The pairs are those of section 2.1, and the penalties those of section 2.2. The networks have
neither norms nor attention (section 3). Rates, β2 and γ go to their last values along a cosine.
`fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fastgan.networks.r3gan import RESOLUTIONS, R3GANDiscriminator, R3GANGenerator
from fastgan.recipes.base import Precision
from fastgan.recipes.errors import one_of
from fastgan.recipes.half import HalfResolutionSettings
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, NoiseBatch, NoiseToImage, Penalty
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Networks, Player
from fastgan.recipes.presets import Preset
from fastgan.recipes.stabilizers import FixedSizeSettings

Share = TypeVar("Share", float, Tensor)


@dataclass(frozen=True)
class R3GANBatch(NoiseBatch):
    """Batch with a place in the schedule.

    Attributes:
        burn_in_left: remaining share of the burn-in, float32 `[N]`.
    """

    burn_in_left: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class R3GAN(HalfResolutionSettings, FixedSizeSettings, NoiseToImage):
    """Huang 2024: RpGAN with R1 and R2 at each step, ResNeXt-like G and D.

    The default widths are those of FFHQ at 256×256.
    """

    name: ClassVar[str] = "r3gan"
    batch_type: ClassVar[type[Batch]] = R3GANBatch
    summary: ClassVar[str] = (
        "Huang 2024: relativistic pairs with R1 and R2, residual networks without tricks"
    )
    default_images: ClassVar[int] = 25_000_000
    # Nothing clamps its layers, so float16 may overflow.
    gpu_half: ClassVar[Precision] = "bf16"

    batch: int = 256
    z_dim: int = 64
    lr: float = 2e-4
    betas: tuple[float, float] = (0.0, 0.9)
    ema_kimg: float = 500.0
    loss: Adversarial = "relativistic"
    penalty: Penalty = "r1+r2"
    penalty_weight: float | None = None
    """First weight of the penalty, λ or γ; None is 0.05 up to 32×32, 2 up to 64×64, 150 above."""
    burn_in_kimg: float = 20_000.0
    """Thousands of images of the burn-in, a cosine to the last rate, β2 and penalty; 0 for none."""
    lr_decay: float = 0.25
    """Factor of the learning rates at the end of the burn-in."""
    penalty_decay: float = 0.1
    """Factor of the penalty's weight at the end of the burn-in."""
    last_beta2: float = 0.99
    """Adam's decay rate of the second moment at the end of the burn-in."""
    channel_base: int = 24576
    """Channels times resolution: a block at resolution r has channel_base / r channels."""
    channel_max: int = 768
    """Most channels of a block."""
    blocks: int = 2
    """Residual blocks at each resolution."""
    expansion: int = 2
    """Channels inside a block, as a multiple of those outside."""
    group_size: int = 16
    """Channels per group of the 3×3 convolutions."""

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            "channel_base": 24 * resolution,
            "channel_max": 48 if resolution <= 32 else 96,
            "blocks": 1,
            "z_dim": 32,
            "batch": 16,
            "lr": 2e-3,
            "penalty_weight": max(1.0, resolution / 32),
            "burn_in_kimg": 30.0,
            "ema_kimg": 1.0,
        }
        return Preset(60_000, settings)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(1, "channel_max", "blocks", "expansion", "group_size")
        self._require(
            "channel_base", self.channel_base >= RESOLUTIONS[0], f"at least {RESOLUTIONS[0]}"
        )
        self._require_at_least(0, "burn_in_kimg")
        self._require_positive("lr_decay", "penalty_decay")
        self._require("last_beta2", 0 <= self.last_beta2 < 1, "at least 0 and less than 1")

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        self._require_resolution(images, images.resolution in RESOLUTIONS, one_of(RESOLUTIONS))
        self._require(
            "channel_base", self.channel_base >= images.resolution, f"at least {images.resolution}"
        )
        for i in range(2, images.resolution.bit_length()):
            inside = self.expansion * min(self.channel_base // 2**i, self.channel_max)
            self._require(
                "group_size", inside <= self.group_size or inside % self.group_size == 0,
                f"a divisor of the channels inside of the blocks, {inside} at {2**i}×{2**i}",
            )  # fmt: skip

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        sizes: dict[str, Any] = {
            "c_dim": self.classes(images), "channel_base": self.channel_base,
            "channel_max": self.channel_max, "blocks": self.blocks, "expansion": self.expansion,
            "group_size": self.group_size, "half_resolutions": self.half_resolutions,
        }  # fmt: skip
        return {
            "G": R3GANGenerator(images.resolution, images.channels, z_dim=self.z_dim, **sizes),
            "D": self.stabilized(R3GANDiscriminator(images.resolution, images.channels, **sizes)),
            **self.extras(images),
        }

    def anneal(
        self, players: Sequence[Player], optimizers: Mapping[str, Optimizer], nimg: int
    ) -> None:
        """Set rate and β2 of the step; the first rate stays in the optimiser's groups."""
        left = float(torch.tensor(self.left(nimg), dtype=torch.float32))
        for player in players:
            beta2 = between(self.betas[1], self.last_beta2, left) ** player.lazy_correction
            for group in optimizers[player.name].param_groups:
                lr = group.setdefault("initial_lr", group["lr"])
                group["lr"] = between(lr, lr * self.lr_decay, left)
                group["betas"] = (group["betas"][0], beta2)

    def left(self, nimg: int) -> float:
        """Return the remaining share of the burn-in after `nimg` images: a cosine from 1 to 0."""
        total = 1000 * self.burn_in_kimg
        return 0.5 + 0.5 * math.cos(math.pi * nimg / total) if nimg < total else 0.0

    def draw_noise(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw noise, and set the remaining share of the burn-in, which the penalty takes."""
        return {
            **super().draw_noise(request),
            "burn_in_left": torch.full((request.count,), self.left(request.nimg)),
        }

    def penalty_loss(  # type: ignore[override]
        self, networks: Networks, batch: R3GANBatch
    ) -> Tensor:
        return super().penalty_loss(networks, batch) * between(
            1.0, self.penalty_decay, batch.burn_in_left[0]
        )

    def default_penalty_weight(self, images: Tensor) -> float:
        return next(
            (weight for size, weight in ((32, 0.05), (64, 2.0)) if images.shape[3] <= size), 150.0
        )


def between(first: float, last: float, left: Share) -> Share:
    """Interpolate from `first` at a remaining share of 1 to `last` at 0."""
    return last + (first - last) * left
