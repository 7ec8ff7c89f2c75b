"""Batch of recipes whose generators have styles."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

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
