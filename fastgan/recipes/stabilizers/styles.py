"""Regularisers of generators with styles: style mixing, and the penalty of path lengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from fastgan.losses import penalties
from fastgan.recipes.players import DrawRequest, Networks, Regularizer
from fastgan.recipes.stabilizers.part import Part

MEAN = "path_length"
"""Name of the network with the running mean of path lengths."""


@dataclass(frozen=True, kw_only=True)
class StyleMixingSettings:
    """Styles of two z in an image."""

    style_mixing: float = 0.0
    """Share of the images that take the styles of another z from some layer on."""


@dataclass(frozen=True, kw_only=True)
class StyleMixing(Part, StyleMixingSettings):
    """Styles of another z from a crossover layer on (Karras et al. 2019, section 3.1)."""

    def check(self, recipe: Any) -> None:
        self.require("style_mixing", 0 <= self.style_mixing <= 1, "at least 0 and at most 1")

    def draw(self, request: DrawRequest, z_dim: int) -> dict[str, Tensor]:
        """Draw `mixed_noise` `[N, z_dim]`, standard normal, and `crossover` `[N]`.

        The crossover is from 0 to 1 for the share of images that are mixed, and 1 for the others.
        """
        if not self.style_mixing:
            return {}
        z = torch.randn(request.count, z_dim, generator=request.generator)
        mixed = torch.rand(request.count, generator=request.generator) < self.style_mixing
        crossover = torch.rand(request.count, generator=request.generator)
        return {"mixed_noise": z, "crossover": torch.where(mixed, crossover, torch.ones(()))}

    def mix(
        self, ws: Tensor, others: Callable[[], Tensor], crossover: Tensor, layers: int
    ) -> Tensor:
        """Return `ws` with the styles of `others` from a crossover layer on.

        The first layer always keeps its own style.

        Args:
            ws: styles `[N, num_ws, w_dim]`.
            others: makes the styles of another z, `[N, num_ws, w_dim]`.
            crossover: crossover layer of each image as a share of `layers`, float32 `[N]`; 1 for no
                mixing.
            layers: number of layers in use.
        """
        if not self.style_mixing:
            return ws
        mixed_in = others()
        last = crossover * (layers - 1)
        own = torch.arange(ws.shape[1], device=ws.device) <= last[:, None]
        return torch.where(own[..., None], ws, mixed_in)


@dataclass(frozen=True, kw_only=True)
class PathLengthSettings:
    """Penalty of path lengths, whose default is no penalty."""

    path_length_weight: float | None = 0.0
    """Weight of the path length penalty, a mean over layers; 0 for none, None is 2/resolution²."""
    path_length_every: int = 4
    """Steps between path length penalties."""
    path_length_decay: float = 0.99
    """Decay of the running mean of path lengths, per penalty."""
    path_length_shrink: int = 2
    """Divisor of the batch for the path length penalty."""


class PathLengthMean(nn.Module):
    """Running mean of path lengths, kept in the checkpoint."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))


@dataclass(frozen=True, kw_only=True)
class PathLength(Part, PathLengthSettings):
    """Lazy penalty E[(‖J_wᵀy‖ - a)²] of G (Karras et al. 2020, section 3.2, eq. 4)."""

    def check(self, recipe: Any) -> None:
        weight = self.path_length_weight
        self.require(
            "path_length_weight", weight is None or 0 <= weight < float("inf"), "at least 0"
        )
        for setting in ("path_length_every", "path_length_shrink"):
            self.require(setting, getattr(self, setting) >= 1, "at least 1")
        self.require(
            "path_length_decay", 0 <= self.path_length_decay <= 1, "at least 0 and at most 1"
        )

    def modules(self) -> dict[str, nn.Module]:
        """Return the running mean a of path lengths."""
        return {} if self.path_length_weight == 0 else {MEAN: PathLengthMean()}

    def terms(
        self, paths: Callable[[Networks, Any], tuple[Tensor, Tensor]]
    ) -> tuple[Regularizer, ...]:
        """Return the term of G's loss.

        Args:
            paths: images of a batch with their graph, and the styles w that they are made from.
        """
        if self.path_length_weight == 0:
            return ()

        def loss(networks: Networks, batch: Any) -> Tensor:
            part = slice(0, -(-len(batch.real) // self.path_length_shrink))
            return self.compute(networks, *paths(networks, batch.rows(part)))

        return (Regularizer("path_length", loss, every=self.path_length_every),)

    def compute(self, networks: Networks, images: Tensor, ws: Tensor) -> Tensor:
        """Return the weighted penalty, and update the running mean.

        Args:
            networks: all networks by name.
            images: generated images `[N, C, H, W]` with their graph.
            ws: styles `[N, num_ws, w_dim]` with their graph.
        """
        running = cast(PathLengthMean, networks[MEAN])
        penalty, mean = penalties.path_length(
            images, ws, torch.randn_like(images), running.mean, decay=self.path_length_decay
        )
        running.mean.copy_(mean)
        weight = self.path_length_weight
        if weight is None:
            weight = penalties.path_length_weight(images.shape[2] * images.shape[3])
        return weight * penalty
