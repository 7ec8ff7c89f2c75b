"""Stabilisers that look into D or ahead of it: features, comparison of a batch, unrolling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fastgan.networks.protocol import DiscriminatorOutput
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.players import Networks
from fastgan.recipes.stabilizers.part import Part


@dataclass(frozen=True, kw_only=True)
class FeatureMatchingSettings:
    """Distance of D's features in G's loss; D has a method `features` with D's arguments."""

    feature_matching: float = 0.0
    """Weight, in G's loss, of the distance of D's mean features; 0 for none."""


@dataclass(frozen=True, kw_only=True)
class FeatureMatching(Part, FeatureMatchingSettings):
    """Weight of the distance of mean features (Salimans et al. 2016, section 3.1)."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("feature_matching")


@dataclass(frozen=True, kw_only=True)
class MinibatchSettings:
    """Layers of D that compare the images of a batch."""

    minibatch_discrimination: int = 0
    """Kernels of minibatch discrimination in D (Salimans et al. take 100); 0 for none."""
    minibatch_stddev: int = 0
    """Images per group of minibatch stddev in D (ProGAN takes 4); 0 for none."""


@dataclass(frozen=True, kw_only=True)
class MinibatchLayers(Part, MinibatchSettings):
    """Checks of D's layers over a batch, which the recipe builds into D."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("minibatch_discrimination", "minibatch_stddev")
        piece, group = recipe.batch // recipe.accumulate, self.minibatch_stddev
        if not (group == 0 or piece <= group or piece % group == 0):
            raise RecipeError.of(
                "batch",
                "such that the images computed at once are a multiple of `minibatch_stddev`, "
                f"{group}, or fewer",
                recipe.batch,
            )


@dataclass(frozen=True, kw_only=True)
class UnrollSettings:
    """Steps of D that G looks ahead."""

    unroll: int = 0
    """Steps of D that G's loss looks ahead (unrolled GAN); 0 for none."""
    unroll_lr: float = 0.1
    """Learning rate of the unrolled steps."""


@dataclass(frozen=True, kw_only=True)
class Unroll(Part, UnrollSettings):
    """G's loss against D after some steps of gradient descent (Metz et al. 2017)."""

    def check(self, recipe: Any) -> None:
        self.require_at_least_0("unroll")
        self.require("unroll_lr", 0 < self.unroll_lr < float("inf"), "a positive number")

    def ahead(self, networks: Networks, d_loss: Callable[[Networks], Tensor], d: str) -> Networks:
        """Return the networks with a D after `unroll` steps on its loss.

        A step is θ_{k+1} = θ_k - η·∇L_D(θ_k), with a graph to G's images. The weights of D itself
        don't change.
        """
        if not self.unroll:
            return networks
        D = networks[d]
        weights = {name: p.detach().requires_grad_(True) for name, p in D.named_parameters()}

        def with_weights(weights: dict[str, Tensor]) -> Networks:
            def call(images: Tensor, *labels: Tensor) -> Tensor | DiscriminatorOutput:
                output: Tensor | DiscriminatorOutput = functional_call(
                    D, weights, (images, *labels)
                )
                return output

            return {**networks, d: cast(nn.Module, call)}

        for _ in range(self.unroll):
            loss = d_loss(with_weights(weights))
            # The loss may leave out layers, such as those of StarGAN's classes.
            gradients = torch.autograd.grad(
                loss, list(weights.values()), create_graph=True, allow_unused=True
            )
            weights = {
                name: p if g is None else p - self.unroll_lr * g
                for (name, p), g in zip(weights.items(), gradients)
            }
        return with_weights(weights)
