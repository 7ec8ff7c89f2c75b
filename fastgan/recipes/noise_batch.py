"""Batch of recipes that generate images from noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from fastgan.recipes.players import ABSENT, Batch

Side = Literal["real", "fake"]
SIDES: tuple[Side, Side] = ("real", "fake")


@dataclass(frozen=True)
class NoiseBatch(Batch):
    """Batch of recipes that generate images from noise.

    Attributes:
        noise: z, float32 `[N, z_dim]`.
        instance_noise_std: standard deviation of the instance noise, float32 `[N]`.
        augment_real, augment_fake: random rows of the augmentation, by its own names.
        flipped: images with flipped labels, bool `[N]`.
        alpha: place between a real and a generated image in a penalty, float32 `[N]`.
        replay_mask, replay_slots: images that go through the pool, bool `[N]`, and their places
            there, int64 `[N]`.
        fakes: generated images `[N, C, H, W]`.
        fake_labels: their classes, where they differ from `labels`, int64 `[N]`.
    """

    noise: Tensor = ABSENT
    instance_noise_std: Tensor = ABSENT
    augment_real: Mapping[str, Tensor] = ABSENT
    augment_fake: Mapping[str, Tensor] = ABSENT
    flipped: Tensor = ABSENT
    alpha: Tensor = ABSENT
    replay_mask: Tensor = ABSENT
    replay_slots: Tensor = ABSENT
    fakes: Tensor = ABSENT
    fake_labels: Tensor | None = None
