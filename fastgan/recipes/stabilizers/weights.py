"""Bounds of weights: clipping, spectral norm, orthogonal regularisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fastgan.losses import penalties
from fastgan.nn import apply_spectral_norm
from fastgan.recipes.players import Networks, Regularizer, parameters_of
from fastgan.recipes.stabilizers.part import Part


@dataclass(frozen=True, kw_only=True)
class ClippingSettings:
    """Bound of D's weights."""

    clip_weights: float = 0.0
    """Bound to clip D's weights to after each update (WGAN takes 0.01); 0 for none."""


@dataclass(frozen=True, kw_only=True)
class WeightClipping(Part, ClippingSettings):
    """Clipping of D's weights after each update (Arjovsky et al. 2017, algorithm 1)."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("clip_weights")

    def after_update(self, names: tuple[str, ...]) -> list[Callable[[Networks], None]]:
        """Return the clipping of the named networks, after D's updates."""
        if not self.clip_weights:
            return []
        return [lambda n: penalties.clip_weights_(parameters_of(n, names), self.clip_weights)]


@dataclass(frozen=True, kw_only=True)
class SpectralNormSettings:
    """Spectral norm of D's weights."""

    spectral_norm: bool = False
    """Divide each weight of D by its spectral norm (SNGAN)."""


@dataclass(frozen=True, kw_only=True)
class SpectralNorm(Part, SpectralNormSettings):
    """Division of D's weights by their largest singular values (Miyato et al. 2018)."""

    def normalised(self, discriminator: nn.Module) -> nn.Module:
        """Return D, with spectral norm if it is on."""
        return apply_spectral_norm(discriminator) if self.spectral_norm else discriminator


@dataclass(frozen=True, kw_only=True)
class OrthogonalSettings:
    """Pull of G's filters towards right angles."""

    orthogonal: float = 0.0
    """Weight of G's orthogonal regularisation (BigGAN takes 1e-4); 0 for none."""


@dataclass(frozen=True, kw_only=True)
class Orthogonal(Part, OrthogonalSettings):
    """Orthogonal regularisation of G (Brock et al. 2019, eq. 3)."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("orthogonal")

    def terms(self, names: tuple[str, ...]) -> list[Regularizer]:
        """Return the term of G's loss, over the named networks."""

        def loss(networks: Networks, batch: Any) -> Tensor:
            filters = [f for name in names for f in penalties.filters_of(networks[name])]
            return self.orthogonal * penalties.orthogonal(filters)

        return [Regularizer("orthogonal", loss)] if self.orthogonal else []
