"""Recipes whose highest resolutions alone compute in half precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.base import Precision, Recipe


@dataclass(frozen=True, kw_only=True)
class HalfResolutionSettings(Recipe):
    """Half precision of the highest resolutions, which have the largest features."""

    gpu_half: ClassVar[Precision] = "fp16"
    """Half type that the precision auto takes on a GPU."""

    half_resolutions: int = 4
    """Highest resolutions that compute in half under bf16 and fp16; the rest stays in float32."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "half_resolutions")
