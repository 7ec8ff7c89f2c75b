"""`colorize`: colours for grey images (Isola et al. 2017, section 4).

A step is that of `pix2pix` (eq. 4 and 1) from an image's luma x to the image y.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fastgan.data import Task
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.pix2pix import Pix2Pix, small_settings
from fastgan.recipes.players import Batch
from fastgan.recipes.presets import Preset

# Weights of red, green and blue in Rec. 601.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Colorize(Pix2Pix):
    """Isola 2017: pix2pix from grey images to their colours.

    Any set of colour images provides the pairs.
    """

    name: ClassVar[str] = "colorize"
    summary: ClassVar[str] = "Isola 2017: colours for grey images, by pix2pix"
    task: ClassVar[Task | None] = None
    directions: ClassVar[Mapping[str, str]] = {"": "image"}

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        images = total_images or 16_000
        return Preset(images, small_settings(resolution, images))

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        if images.channels != 3:
            raise RecipeError(
                f"Images of {self.name} must have colours, got grey ones: give others with `data`."
            )

    @property
    def source_meaning(self) -> str:
        return "grey image, 0.299 of red, 0.587 of green and 0.114 of blue"

    def condition_channels(self, images: ImageSpec) -> int:
        return 1

    def condition(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the luma of images `[N, 3, H, W]`: `[N, 1, H, W]` in [-1, 1]."""
        images = inputs["image"]
        # Filled on the device: a copy from the host would wait for it.
        weights = torch.cat([images.new_full((1, 1, 1, 1), weight) for weight in LUMA], 1)
        return (images * weights).sum(1, keepdim=True)

    def source(self, rows: Batch) -> Mapping[str, Tensor]:
        return {"image": rows.real}
