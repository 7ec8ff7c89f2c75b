"""Images of any recipe that draws from noise or from captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fastgan.recipes import Networks, Recipe
from fastgan.recipes.noise import NoiseToImage
from fastgan.recipes.translation import Translation
from fastgan.seeds import derive_seed

BATCH_SIZE = 256
"""Images drawn at once."""


@dataclass(frozen=True)
class RecipeDrawing:
    """Images of a recipe, drawn by index from a seed.

    Attributes:
        label: class of all images; None draws one for each, if the networks take classes.
        caption: words of all images, int64 ``[1, T]``, for networks that draw from captions.
    """

    recipe: Recipe
    networks: Networks
    label: int | None = None
    caption: Tensor | None = None

    @torch.no_grad()
    def drawn_from(self, seed: int, count: int, *, batch_size: int = BATCH_SIZE) -> Tensor:
        """Draw images ``[count, C, H, W]`` one after the other from one seed.

        The batch size changes rounding alone.
        """
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for start in range(0, count, batch_size):
            number = min(batch_size, count - start)
            if isinstance(self.recipe, NoiseToImage):
                part = self.recipe.sample(
                    self.networks, number, generator=generator, label=self.label
                )
            elif isinstance(self.recipe, Translation) and self.caption is not None:
                inputs = {"caption": self.caption.expand(number, -1)}
                part = self.recipe.translate(self.networks, inputs, generator=generator)
            else:
                part = self.recipe.sample(self.networks, number, generator=generator)
            parts.append(part)
        return torch.cat(parts)

    def images(self, seeds: Sequence[int]) -> Tensor:
        """Draw one image for each seed, ``[N, C, H, W]``; it depends on that seed alone."""
        return torch.cat([self.drawn_from(derive_seed(seed, "sample"), 1) for seed in seeds])
