"""Random rows of the stabilisers that act on one D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from fastgan.recipes.players import ABSENT, PerImage

Side = Literal["real", "fake"]
SIDES: tuple[Side, Side] = ("real", "fake")


@dataclass(frozen=True)
class Draws(PerImage):
    """Random rows for one D's images. Stabilisers that are off leave theirs None.

    Attributes:
        noise_real, noise_fake: instance noise, float32 `[N, C, H, W]`; None once it has faded.
        augment_real, augment_fake: random rows of the augmentation, by its own names.
        flipped: images with flipped labels, bool `[N]`.
        alpha: place between a real and a generated image in a penalty, float32 `[N]`.
        penalty_noise: noise on real images in a penalty, float32 `[N, C, H, W]`.
        replay_mask, replay_slots: images that go through the pool, bool `[N]`, and their places
            there, int64 `[N]`.
    """

    noise_real: Tensor = ABSENT
    noise_fake: Tensor = ABSENT
    augment_real: Mapping[str, Tensor] = ABSENT
    augment_fake: Mapping[str, Tensor] = ABSENT
    flipped: Tensor = ABSENT
    alpha: Tensor = ABSENT
    penalty_noise: Tensor = ABSENT
    replay_mask: Tensor = ABSENT
    replay_slots: Tensor = ABSENT


NO_DRAWS = Draws()
"""Rows without stabilisers."""


def module_name(kind: str, d: str) -> str:
    """Return the name of a stabiliser's module for a D: `pool` for `D`, `pool_A` for `D_A`."""
    return kind + d.removeprefix("D")
