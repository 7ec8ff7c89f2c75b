"""Stabilisers that remember: experience replay and historical averaging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.memory import ImagePool, WeightHistory
from fastgan.recipes.noise_batch import NoiseBatch
from fastgan.recipes.players import DrawRequest, Networks, Regularizer, parameters_of
from fastgan.recipes.stabilizers.part import Part

# Share of the images that go through the pool.
REPLAYED = 0.5


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """Older generated images for D."""

    replay: int = 0
    """Generated images to keep, at least `batch`; half of D's fakes are from them; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class Replay(Part, ReplaySettings):
    """Experience replay: a pool of generated images (Shrivastava et al. 2017, section 2.3)."""

    def check(self, recipe: Any) -> None:
        self.require(
            "replay",
            self.replay == 0 or self.replay >= recipe.batch,
            f"0 or at least `batch`, {recipe.batch}",
        )

    def modules(self, images: ImageSpec) -> dict[str, nn.Module]:
        return {"pool": ImagePool(self.replay, images.shape)} if self.replay else {}

    def draw(self, request: DrawRequest) -> dict[str, Tensor]:
        """Draw the images that go through the pool, and their places there."""
        if not self.replay:
            return {}
        mask = torch.rand(request.count, generator=request.generator) < REPLAYED
        order = torch.randperm(self.replay, generator=request.generator)
        return {"replay_mask": mask, "replay_slots": order[: request.count]}

    def mix(self, networks: Networks, batch: NoiseBatch) -> NoiseBatch:
        """Return the batch with older images among the generated ones, and with their classes."""
        if not self.replay:
            return batch
        fakes, labels = networks["pool"](
            batch.fakes, batch.labels, swapped=batch.replay_mask, place=batch.replay_slots
        )
        return replace(batch, fakes=fakes, fake_labels=labels)


@dataclass(frozen=True, kw_only=True)
class HistorySettings:
    """Pull of weights towards their mean over time."""

    historical_averaging: float = 0.0
    """Weight of the squared distance of all weights from their mean so far; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class HistoricalAveraging(Part, HistorySettings):
    """Distance of each player's weights from their mean (Salimans et al. 2016, section 3.3)."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("historical_averaging")

    def modules(self, images: ImageSpec) -> dict[str, nn.Module]:
        if not self.historical_averaging:
            return {}
        return {f"history_{name}": WeightHistory() for name in ("D", "G")}

    def prepare(self, networks: Networks) -> None:
        """Start the means at the networks' first weights."""
        if self.historical_averaging:
            for name in ("D", "G"):
                _history(networks, name).follow(parameters_of(networks, (name,)))

    def terms(self, name: str) -> list[Regularizer]:
        """Return the term of a player's loss, by the player's name."""
        if not self.historical_averaging:
            return []

        def loss(networks: Networks, batch: NoiseBatch) -> Tensor:
            distance: Tensor = _history(networks, name)(parameters_of(networks, (name,)))
            return self.historical_averaging * distance

        return [Regularizer("history", loss)]

    def after_update(self, name: str) -> list[Callable[[Networks], None]]:
        """Return the update of a player's mean, after each update of the player."""
        if not self.historical_averaging:
            return []
        return [lambda n: _history(n, name).update(parameters_of(n, (name,)))]


def _history(networks: Networks, name: str) -> WeightHistory:
    return cast(WeightHistory, networks[f"history_{name}"])
