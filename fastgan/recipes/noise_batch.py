"""Batch of recipes that generate images from noise."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fastgan.recipes.players import ABSENT, Batch
from fastgan.recipes.stabilizers.draws import NO_DRAWS, Draws


@dataclass(frozen=True)
class NoiseBatch(Batch):
    """Batch of recipes that generate images from noise.

    Attributes:
        noise: z, float32 `[N, z_dim]`.
        draws: random rows of the stabilisers.
        fakes: generated images `[N, C, H, W]`.
        fake_labels: their classes, where they differ from `labels`, int64 `[N]`.
    """

    noise: Tensor = ABSENT
    draws: Draws = NO_DRAWS
    fakes: Tensor = ABSENT
    fake_labels: Tensor | None = None
