"""Stabilisers that remember: experience replay and historical averaging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.memory import ImagePool, WeightHistory
from fastgan.recipes.players import DrawRequest, Networks, Regularizer, parameters_of
from fastgan.recipes.stabilizers.draws import Draws, module_name
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

    def modules(self, images: ImageSpec, d: str) -> dict[str, nn.Module]:
        """Return the pool of a D's generated images."""
        if not self.replay:
            return {}
        return {module_name("pool", d): ImagePool(self.replay, images.shape)}

    def draw(self, request: DrawRequest) -> dict[str, Any]:
        """Draw the images that go through the pool, and their places there."""
        if not self.replay:
            return {}
        mask = torch.rand(request.count, generator=request.generator) < REPLAYED
        order = torch.randperm(self.replay, generator=request.generator)
        return {"replay_mask": mask, "replay_slots": order[: request.count]}

    def mix(
        self, networks: Networks, fakes: Tensor, labels: Tensor, draws: Draws, d: str
    ) -> tuple[Tensor, Tensor]:
        """Return the images of a D's phase, older ones among the generated, and their classes."""
        if not self.replay:
            return fakes, labels
        pool = cast(ImagePool, networks[module_name("pool", d)])
        shown: tuple[Tensor, Tensor] = pool(
            fakes, labels, swapped=draws.replay_mask, place=draws.replay_slots
        )
        return shown


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

    def modules(self) -> dict[str, nn.Module]:
        """Return the means of the weights of each player."""
        if not self.historical_averaging:
            return {}
        return {f"history_{name}": WeightHistory() for name in ("D", "G")}

    def prepare(self, networks: Networks, player: str, names: tuple[str, ...]) -> None:
        """Start the mean of a player at the first weights of its networks."""
        if self.historical_averaging:
            _history(networks, player).follow(parameters_of(networks, names))

    def terms(self, player: str, names: tuple[str, ...]) -> list[Regularizer]:
        """Return the term of a player's loss, over the named networks."""
        if not self.historical_averaging:
            return []

        def loss(networks: Networks, batch: Any) -> Tensor:
            distance: Tensor = _history(networks, player)(parameters_of(networks, names))
            return self.historical_averaging * distance

        return [Regularizer("history", loss)]

    def after_update(self, player: str, names: tuple[str, ...]) -> list[Callable[[Networks], None]]:
        """Return the update of a player's mean, after each update of the player."""
        if not self.historical_averaging:
            return []
        return [lambda n: _history(n, player).update(parameters_of(n, names))]


def _history(networks: Networks, player: str) -> WeightHistory:
    return cast(WeightHistory, networks[f"history_{player}"])
