"""Batch and settings of recipes whose generators have styles."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fastgan.networks.stylegan2 import RESOLUTIONS
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
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


def check_half_resolutions(num_fp16_res: int, images: ImageSpec) -> None:
    """Raise RecipeError for more resolutions in half precision than the networks have."""
    most = RESOLUTIONS.index(images.resolution) + 1
    if num_fp16_res > most:
        raise RecipeError.of(
            "num_fp16_res",
            f"at most {most} at {images.resolution}×{images.resolution}",
            num_fp16_res,
        )


def per_micro_batch(decay: float, accumulate: int) -> float:
    """Return the decay per micro-batch of a mean with this decay per step."""
    return decay ** (1 / accumulate)
