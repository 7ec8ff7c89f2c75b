"""Base of recipes with one G and one D, which sees an image alone or with a condition."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from fastgan.losses.penalties import Critic
from fastgan.losses.stabilizers import feature_matching, layer_matching
from fastgan.recipes.adversarial import AgainstD, Output
from fastgan.recipes.players import ABSENT, Batch, DrawRequest, Loss, Networks, Player
from fastgan.recipes.stabilizers import NO_DRAWS, Draws, Side
from fastgan.recipes.translation import Translation


@dataclass(frozen=True)
class TranslationBatch(Batch):
    """Batch of recipes with one generator.

    Attributes:
        fakes: generated images `[N, C, H, W]`.
        condition: tensor that D sees beside an image; None for a D that sees images alone.
        draws: random rows of the stabilisers.
    """

    fakes: Tensor = ABSENT
    condition: Tensor = ABSENT
    draws: Draws = NO_DRAWS


@dataclass(frozen=True, kw_only=True)
class DirectTranslation(Translation):
    """Translation by one G, whose images one D tells from the real ones.

    G moves first, and its images are D's fakes.
    """

    batch_type: ClassVar[type[Batch]] = TranslationBatch

    def players(self) -> tuple[Player, ...]:
        return self.g_player(), self.d_player()

    @abstractmethod
    def generate(self, networks: Networks, batch: Any) -> Tensor:
        """Return G's images for the batch, which has its condition."""

    def condition_of(self, networks: Networks, batch: Any) -> Tensor | None:
        """Return the tensor that D sees beside an image; None for a D that sees images alone."""
        return None

    def with_condition(self, networks: Networks, batch: Any) -> Any:
        """Return the batch with its condition, which is made once per phase."""
        if batch.condition is not None:
            return batch
        return replace(batch, condition=self.condition_of(networks, batch))

    def draw_inputs(self, request: DrawRequest) -> dict[str, Any]:
        """Draw what G's images are made of beside the data."""
        return {}

    def draw_for_g(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for G's phase: G's inputs, then the rows of the stabilisers."""
        return {**self.draw_inputs(request), "draws": self.draws_for_g(request)}

    def draw_for_d(self, request: DrawRequest) -> dict[str, Any]:
        """Draw for D's phase: G's inputs if it generates images, then the stabilisers' rows."""
        inputs = self.draw_inputs(request) if self.d_makes_fakes else {}
        return {**inputs, "draws": self.draws_for_d(request)}

    def with_fakes(self, networks: Networks, batch: Any) -> Any:
        """Return the batch of D's phase, with older images among the generated with replay."""
        batch = self.with_condition(networks, batch)
        fakes = batch.fakes
        if self.d_makes_fakes:
            with torch.no_grad():
                fakes = self.generate(networks, batch)
        shown, _ = self.stabilizers.replay.mix(networks, fakes, batch.labels, batch.draws, "D")
        return replace(batch, fakes=shown)

    def d_loss(self, networks: Networks, batch: Any) -> Loss:
        batch = self.with_condition(networks, batch)
        real = self.output(networks, batch, batch.real, "real")
        fake = self.output(networks, batch, batch.fakes, "fake")
        return self.against_g(networks, real, fake, batch.draws)

    def fakes_against_d(self, networks: Networks, batch: Any, fakes: Tensor) -> AgainstD:
        """Return G's adversarial loss of generated images."""

        def output(ahead: Networks, side: Side) -> Output:
            return self.output(ahead, batch, fakes if side == "fake" else batch.real, side)

        return self.against_d(networks, output)

    def penalty_loss(self, networks: Networks, batch: Any) -> Tensor:
        batch = self.with_condition(networks, batch)
        of_real, of_fake = (self.critic(networks, batch, side) for side in ("real", "fake"))
        return self.weighted_penalty(of_real, of_fake, batch.real, batch.fakes, batch.draws)

    def d_condition(self, networks: Networks, batch: Any, side: Side) -> tuple[Tensor, ...]:
        """Return D's condition as a further argument of D, under one side's augmentations."""
        return () if batch.condition is None else (batch.condition,)

    def critic(self, networks: Networks, batch: Any, side: Side) -> Critic:
        """Return D as a function of images, with the condition and augmentations of one side."""
        conditions = self.d_condition(networks, batch, side)
        return self.seen_by_d(networks, batch.draws, side, conditions)

    def output(self, networks: Networks, batch: Any, images: Tensor, side: Side) -> Output:
        """Return D's output for images, under this step's instance noise."""
        images = self.stabilizers.instance_noise.add(images, batch.draws, side)
        return self.critic(networks, batch, side)(images)

    @property
    def side_of_targets(self) -> Side:
        """Side whose augmentations and noise real images get for feature matching.

        An image and its own target get the same ones, or their distance would be that of both.
        """
        return "fake" if self.paired else "real"

    def matching_loss(self, networks: Networks, batch: Any, fakes: Tensor) -> Tensor:
        """Return the distance of D's features.

        A G with targets matches each image (Wang et al. 2018, eq. 3), another one the mean of the
        last layer's features (Salimans et al. 2016, section 3.1).
        """
        with torch.no_grad():
            real = self.features(networks, batch, batch.real, self.side_of_targets)
        fake = self.features(networks, batch, fakes, "fake")
        return layer_matching(real, fake) if self.paired else feature_matching(real[-1], fake[-1])

    def features(
        self, networks: Networks, batch: Any, images: Tensor, side: Side
    ) -> Sequence[Tensor]:
        """Return D's features of images, a tensor for each layer."""
        seen = self.d_inputs(networks, images, batch.draws, side)
        features = cast(Any, networks["D"]).features(seen, *self.d_condition(networks, batch, side))
        return [features] if isinstance(features, Tensor) else list(features)
