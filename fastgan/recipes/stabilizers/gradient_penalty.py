"""Penalties on D's gradient in the images, and the drift penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from fastgan.losses import penalties
from fastgan.losses.penalties import Critic
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.players import DrawRequest
from fastgan.recipes.stabilizers.draws import Draws
from fastgan.recipes.stabilizers.part import Part, usual

Penalty = Literal["none", "wgan-gp", "zero-centered", "r1", "r2", "r1+r2", "dragan"]


class At(NamedTuple):
    """D as a function of real and of generated images, those images, and the rows for them."""

    d_of_real: Critic
    d_of_fake: Critic
    real: Tensor
    fake: Tensor
    draws: Draws


class PenaltyKind(NamedTuple):
    """Formula of a penalty, and what it needs.

    Attributes:
        compute: the penalty without its weight.
        needs_fakes: True if it takes generated images.
        interpolates: True if it takes places between real and generated images.
        perturbs: True if it takes noise on real images.
    """

    compute: Callable[[At], Tensor]
    needs_fakes: bool = True
    interpolates: bool = False
    perturbs: bool = False


def _r1(at: At) -> Tensor:
    return penalties.r1(at.d_of_real, at.real)


def _r2(at: At) -> Tensor:
    return penalties.r2(at.d_of_fake, at.fake)


PENALTIES: dict[str, PenaltyKind] = {
    # Gulrajani et al. 2017, eq. 3.
    "wgan-gp": PenaltyKind(
        lambda at: penalties.wgan_gp(at.d_of_real, at.real, at.fake, alpha=at.draws.alpha),
        interpolates=True,
    ),
    # Thanh-Tung et al. 2019, 0-GP.
    "zero-centered": PenaltyKind(
        lambda at: penalties.zero_centered(at.d_of_real, at.real, at.fake, alpha=at.draws.alpha),
        interpolates=True,
    ),
    # Mescheder et al. 2018, eq. 9 and 10.
    "r1": PenaltyKind(_r1, needs_fakes=False),
    "r2": PenaltyKind(_r2),
    "r1+r2": PenaltyKind(lambda at: _r1(at) + _r2(at)),
    # Kodali et al. 2017.
    "dragan": PenaltyKind(
        lambda at: penalties.dragan(at.d_of_real, at.real, noise=at.draws.penalty_noise),
        needs_fakes=False,
        perturbs=True,
    ),
}
"""Every penalty but "none" by its name."""


@dataclass(frozen=True, kw_only=True)
class PenaltySettings:
    """Penalty on D's gradient."""

    penalty: Penalty = "none"
    """Penalty on D's gradient at: interpolates (wgan-gp, zero-centered), reals (r1), fakes (r2),
    noisy reals (dragan)."""
    penalty_weight: float | None = None
    """Weight λ of the penalty, or γ: r1 and r2 take half of it. None is 10."""
    penalty_every: int = 1
    """Steps between penalties; above 1 each is an update of its own, with Adam corrected."""


@dataclass(frozen=True, kw_only=True)
class GradientPenalty(Part, PenaltySettings):
    """Penalty on the gradient of D's logits in the images."""

    @property
    def kind(self) -> PenaltyKind | None:
        """Kind of the penalty, None without one."""
        return None if self.penalty == "none" else PENALTIES[self.penalty]

    def check(self, recipe: Any) -> None:
        if self.penalty == "none" and not usual(recipe, "penalty_weight", "penalty_every"):
            raise RecipeError(
                "`penalty_weight` and `penalty_every` need a `penalty`, got none: choose one."
            )
        self.require("penalty_every", self.penalty_every >= 1, "at least 1")
        weight = self.penalty_weight or 0
        self.require("penalty_weight", 0 <= weight < float("inf"), "at least 0")

    def draw(self, request: DrawRequest) -> dict[str, Any]:
        """Draw the places between real and generated images, or the noise on real ones."""
        if self.kind is not None and self.kind.interpolates:
            return {"alpha": torch.rand(request.count, generator=request.generator)}
        if self.kind is not None and self.kind.perturbs:
            shape = (request.count, *request.shape)
            return {"penalty_noise": torch.rand(shape, generator=request.generator)}
        return {}

    def compute(
        self, d_of_real: Critic, d_of_fake: Critic, real: Tensor, fake: Tensor, draws: Draws
    ) -> Tensor:
        """Return the penalty without its weight.

        Args:
            d_of_real, d_of_fake: D as a function of images, with its condition of real and of
                generated ones. Between them it has that of the real ones.
            real, fake: images `[N, C, H, W]`; `fake` is unused by penalties on real images.
            draws: random rows for these images.
        """
        assert self.kind is not None
        fake = fake.float() if self.kind.needs_fakes else fake
        return self.kind.compute(At(d_of_real, d_of_fake, real, fake, draws))


@dataclass(frozen=True, kw_only=True)
class DriftSettings:
    """Penalty on D's logits of real images."""

    drift: float = 0.0
    """Weight of E[D(real)²], which keeps a Wasserstein critic near 0 (ProGAN takes 0.001)."""


@dataclass(frozen=True, kw_only=True)
class Drift(Part, DriftSettings):
    """Drift penalty (Karras et al. 2018, appendix A.1)."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("drift")

    def add(self, total: Tensor, real_logits: Tensor) -> Tensor:
        """Return D's loss with the weighted penalty."""
        return total + self.drift * penalties.drift(real_logits) if self.drift else total
