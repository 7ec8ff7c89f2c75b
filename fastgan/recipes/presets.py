"""Presets: named sets of defaults for a recipe, which depend on the resolution and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

PresetName = Literal["paper", "small"]
PRESETS: tuple[PresetName, ...] = ("paper", "small")


@dataclass(frozen=True)
class Preset:
    """Values for settings of a recipe and of its run, in place of their defaults.

    Attributes:
        total_images: real images that the run shows in all.
        settings: values of the recipe's settings by name.
        resolution: highest resolution of the run, unless the user asks for another; None for any.
    """

    total_images: int
    settings: Mapping[str, Any]
    resolution: int | None = 64


def narrow(resolution: int) -> dict[str, int]:
    """Return the widths of small networks whose channels follow `channel_base` and `channel_max`.

    The highest resolution has 16 channels from 32×32 on, and lower ones at most 64, or 128 above
    32×32.
    """
    return {
        "channel_base": max(512, 16 * resolution),
        "channel_max": 64 if resolution <= 32 else 128,
    }


def conv_width(resolution: int) -> int:
    """Return the channels at the highest resolution of small networks that double them below."""
    return 32 if resolution <= 64 else 16
