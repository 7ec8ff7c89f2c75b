"""Flipped labels (Chintala et al. 2016) and instance noise (Sønderby et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastgan.losses.stabilizers import annealed_std, flip_labels, instance_noise
from fastgan.recipes.players import DrawRequest
from fastgan.recipes.stabilizers.draws import Draws, Side
from fastgan.recipes.stabilizers.part import Part


@dataclass(frozen=True, kw_only=True)
class LabelNoiseSettings:
    """Flipped labels."""

    flip_labels: float = 0.0
    """Probability to swap the target of an image in D's loss."""


@dataclass(frozen=True, kw_only=True)
class LabelNoise(Part, LabelNoiseSettings):
    """Wrong labels for some of the images in D's loss."""

    def check(self, recipe: Any) -> None:
        self.require("flip_labels", 0 <= self.flip_labels <= 1, "at least 0 and at most 1")

    def draw(self, request: DrawRequest) -> dict[str, Any]:
        """Draw the images with wrong labels."""
        if not self.flip_labels:
            return {}
        chances = torch.rand(request.count, generator=request.generator)
        return {"flipped": chances < self.flip_labels}

    def flip(self, real: Tensor, fake: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return the logits labelled real and those labelled fake."""
        return flip_labels(real, fake, draws.flipped) if self.flip_labels else (real, fake)


@dataclass(frozen=True, kw_only=True)
class InstanceNoiseSettings:
    """Noise on D's images."""

    instance_noise: float = 0.0
    """Standard deviation of noise on D's inputs; falls to 0 at `instance_noise_until`."""
    instance_noise_until: int = 100_000
    """Real images after which there is no instance noise."""


@dataclass(frozen=True, kw_only=True)
class InstanceNoise(Part, InstanceNoiseSettings):
    """Noise on all images that D sees, which falls to 0."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("instance_noise")
        self.require("instance_noise_until", self.instance_noise_until >= 1, "at least 1")

    def draw(self, request: DrawRequest, sides: tuple[Side, ...]) -> dict[str, Any]:
        """Draw the step's noise for each side's images separately."""
        std = annealed_std(self.instance_noise, request.nimg, self.instance_noise_until)
        if not std:
            return {}
        shape = (request.count, *request.shape)
        return {
            f"noise_{side}": std * torch.randn(shape, generator=request.generator) for side in sides
        }

    def add(self, images: Tensor, draws: Draws, side: Side) -> Tensor:
        """Return images of a side with this step's noise."""
        noise = draws.noise_real if side == "real" else draws.noise_fake
        return images if noise is None else instance_noise(images, noise, 1.0)
