"""Augmentation of D's images, for small data sets (Zhao et al. 2020; Karras et al. 2020b)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from fastgan.augment import ADA, Augment, DiffAugment
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import DrawRequest, Networks
from fastgan.recipes.stabilizers.draws import Draws, Side, module_name
from fastgan.recipes.stabilizers.part import Part, usual

Augmentation = Literal["none", "diffaugment", "ada"]
Pipe = Literal[
    "blit", "geom", "color", "filter", "noise", "cutout", "bg", "bgc", "bgcf", "bgcfn", "bgcfnc"
]
# Batches between two updates of ADA's p.
OBSERVED = 4
# Least height and width of images for ADA.
SMALLEST = 4


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Augmentation of D's images at one resolution."""

    augment: Augmentation = "none"
    """Augmentation of D's inputs, for small data sets: DiffAugment, or ADA, which adapts p."""
    augment_pipe: Pipe = "bgc"
    """Transforms of ADA: one kind, or several by initials, such as blit, geom and color in bgc."""
    augment_p: float | None = None
    """Fixed probability p of ADA; None adapts it to D's overfitting."""
    ada_target: float = 0.6
    """Target of ADA for the mean sign of D's logits of real images."""
    ada_kimg: float = 500.0
    """Thousands of images in which p can go from 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class DiffAugmentSettings:
    """Augmentation of D's images at changing resolutions."""

    augment: Literal["none", "diffaugment"] = "none"
    """Augmentation of D's inputs, for small data sets."""


@dataclass(frozen=True, kw_only=True)
class Augmenting(Part, AugmentSettings):
    """Random transformations of all images that D sees, real and generated."""

    def check(self, recipe: Any) -> None:
        self.require("augment_p", 0 <= (self.augment_p or 0) <= 1, "at least 0 and at most 1")
        self.require("ada_target", 0 < self.ada_target < 1, "between 0 and 1")
        self.require("ada_kimg", 0 < self.ada_kimg < float("inf"), "a positive number")
        of_ada = ("augment_pipe", "augment_p", "ada_target", "ada_kimg")
        if self.augment != "ada" and not usual(recipe, *of_ada):
            raise RecipeError(
                "`augment_pipe`, `augment_p`, `ada_target` and `ada_kimg` need `augment` ada, got "
                f"{self.augment}: add `augment` ada, or leave them out."
            )

    def check_images(self, images: ImageSpec) -> None:
        """Raise RecipeError for images that are too small for the augmentation."""
        self.require(
            "augment",
            self.augment != "ada" or images.resolution >= SMALLEST,
            f"none or diffaugment for images below {SMALLEST}×{SMALLEST}",
        )
        self.require("augment", self.augment == "none" or images.resolution > 1, "none for points")

    def modules(self, images: ImageSpec, d: str) -> dict[str, nn.Module]:
        """Return the augmentation of a D's images."""
        if self.augment == "diffaugment":
            return {module_name("augment", d): DiffAugment()}
        if self.augment == "ada":
            ada = ADA(
                images.resolution, images.channels, categories=self.augment_pipe,
                p=self.augment_p or 0.0, target=self.ada_target, kimg=self.ada_kimg,
            )  # fmt: skip
            return {module_name("augment", d): ada}
        return {}

    def draw(self, request: DrawRequest, sides: tuple[Side, ...], d: str) -> dict[str, Any]:
        """Draw augmentations of a D's images, for each side separately."""
        if self.augment == "none":
            return {}
        augment = cast(Augment, request.networks[module_name("augment", d)])
        return {f"augment_{side}": augment.draw(request.count, request.generator) for side in sides}

    def of_side(
        self, networks: Networks, draws: Draws, side: Side, d: str
    ) -> Callable[[Tensor], Tensor]:
        """Return the augmentation of one side as a function of images; the identity without one."""
        if self.augment == "none":
            return lambda images: images
        rows = draws.augment_real if side == "real" else draws.augment_fake
        augment = networks[module_name("augment", d)]
        return lambda images: augment(images, rows)

    def of_condition(
        self, networks: Networks, draws: Draws, side: Side, d: str, pictures: int
    ) -> Callable[[Tensor], Tensor]:
        """Return the transformation of D's condition, which is that of one side's images.

        Args:
            pictures: leading channels of the condition that are a picture. The other channels are
                data, such as a mask or a map of classes, and have no colours to change.
        """
        if self.augment == "none":
            return lambda condition: condition
        rows = draws.augment_real if side == "real" else draws.augment_fake
        augment = cast(DiffAugment, networks[module_name("augment", d)])

        def transform(condition: Tensor) -> Tensor:
            picture, data = condition[:, :pictures], condition[:, pictures:]
            parts = []
            if picture.shape[1]:
                parts.append(augment(picture, rows))
            if data.shape[1]:
                parts.append(augment.move(data, rows))
            return torch.cat(parts, 1)

        return transform

    def observe(self, networks: Networks, real_logits: Tensor, d: str) -> dict[str, Tensor]:
        """Count the signs of a D's logits of real images for ADA; return p to log."""
        if self.augment != "ada":
            return {}
        ada = cast(ADA, networks[module_name("augment", d)])
        ada.observe(real_logits)
        return {"augment_p": ada.p.clone()}

    def after_update(self, batch: int, d: str) -> list[Callable[[Networks], None]]:
        """Return the update of a D's p after D's updates, for batches of this size."""
        if self.augment != "ada" or self.augment_p is not None:
            return []
        name = module_name("augment", d)
        return [lambda networks: cast(ADA, networks[name]).adjust(OBSERVED * batch)]
