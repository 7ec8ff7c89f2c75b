"""Batch and settings of recipes whose generators have styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from fastgan.recipes.half import HalfResolutionSettings
from fastgan.recipes.noise_batch import NoiseBatch
from fastgan.recipes.players import ABSENT


@dataclass(frozen=True)
class StyleBatch(NoiseBatch):
    """Batch with styles of a second z.

    Attributes:
        mixed_noise: z of the styles from `crossover` on, float32 `[N, z_dim]`.
        crossover: place of the first such style, from 0 to 1 (no style), float32 `[N]`.
    """

    mixed_noise: Tensor = ABSENT
    crossover: Tensor = ABSENT


@dataclass(frozen=True, kw_only=True)
class ClampedHalfSettings(HalfResolutionSettings):
    """Half precision as in StyleGAN2-ADA and StyleGAN3 (Karras et al. 2020b, 2021).

    float16 needs neither scaled losses nor a search for a scale: layers are clamped.
    """

    full_precision: tuple[Literal["D"], ...] = ()
    """Networks that stay in float32 under bf16 and fp16: D, since G runs in parts."""

    @property
    def conv_clamp(self) -> float | None:
        """Bound of the layers' outputs, None for none."""
        return 256.0 if self.precision == "fp16" and self.half_resolutions else None

    @property
    def scales_losses(self) -> bool:
        return False


def per_micro_batch(decay: float, accumulate: int) -> float:
    """Return the decay per micro-batch of a mean with this decay per step."""
    return decay ** (1 / accumulate)
