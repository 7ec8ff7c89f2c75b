"""Recipes whose networks may compute in half types under autocast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class AutocastSettings(Recipe):
    """Half types by autocast. Networks that choose their own half layers don't have them."""

    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"  # type: ignore[assignment]
    """Precision of the networks; bf16 and fp16 use autocast, fp16 also scales the losses."""
    full_precision: tuple[str, ...] = ()
    """Networks that stay in float32 under bf16 and fp16, such as D."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.full_precision and self.precision not in ("bf16", "fp16"):
            raise RecipeError.of(
                "full_precision",
                f"empty where `precision` is {self.precision}",
                self.full_precision,
                "leave it out, or set `precision` to bf16 or fp16",
            )

    @property
    def float32_networks(self) -> tuple[str, ...]:
        return self.full_precision

    @property
    def scales_losses(self) -> bool:
        return self.precision == "fp16"
