"""Base of image-to-image recipes: samples are translations of rows of data, or of pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Generator, Tensor

from fastgan.data import Task
from fastgan.recipes.adversarial import AdversarialRecipe
from fastgan.recipes.base import Recipe
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.players import Batch, Networks
from fastgan.recipes.signature import Kind, Port

NEEDED: dict[Task, tuple[str, str]] = {
    "pairs": ("input", "pairs of images"),
    "domains": ("other", "images of two domains"),
    "maps": ("map", "images with maps"),
    "attributes": ("attributes", "images with attributes"),
    "captions": ("caption", "images with captions"),
}
"""Input beside the images in each task's data sets, and a name for the data."""


@dataclass(frozen=True, kw_only=True)
class Translation(AdversarialRecipe):
    """Networks that take images or other data."""

    translates: ClassVar[bool] = True
    directions: ClassVar[Mapping[str, str]] = {"": "input"}
    """Input of `translate` that takes a picture, by direction; "" is the only direction. Empty for
    recipes that take no pictures."""
    fills: ClassVar[bool] = False
    """True if `translate` fills the transparent part of a picture. The part is the input "mask",
    float32 `[N, 1, H, W]`, 1 where to fill."""
    min_size: ClassVar[int] = 1
    """Least height and width of a picture to translate."""
    extends: ClassVar[tuple[str, ...]] = ("decay_until",)
    default_data: ClassVar[str] = "shapes"

    batch: int = 1
    decay_after: int | None = None
    """Real images after which the learning rate falls linearly to 0; None keeps it constant."""
    decay_until: int | None = None
    """Real images at which the learning rate is 0; None takes the run's total at its start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay_after is None:
            if self.decay_until is not None:
                raise RecipeError.of(
                    "decay_until",
                    "None where `decay_after` is None",
                    self.decay_until,
                    "set both, or none",
                )
            return
        self._require_at_least(0, "decay_after")
        if self.decay_until is not None:
            self._require(
                "decay_after",
                self.decay_after < self.decay_until,
                f"at least 0 and less than `decay_until`, {self.decay_until}",
            )

    @property
    def d_makes_fakes(self) -> bool:
        """True if D's phase generates images of its own, since G's phase makes fewer batches."""
        return self.n_critic > self.n_gen

    def lr_lambda(self, nimg: int) -> float:
        if self.decay_after is None or nimg <= self.decay_after:
            return 1.0
        if self.decay_until is None:
            raise RecipeError.of("decay_until", "a number of images", None, "call settled first")
        return max(0.0, (self.decay_until - nimg) / (self.decay_until - self.decay_after))

    def settled(self, total_images: int, saved: Recipe | None = None) -> Recipe:
        if self.decay_after is None:
            return self
        end = self.decay_until or getattr(saved, "decay_until", None) or total_images
        if self.decay_until is None:
            self._require(
                "decay_after",
                self.decay_after < end,
                f"at least 0 and less than `total_images`, {end}",
            )
        if end < total_images:
            raise RecipeError.of(
                "decay_until",
                f"at least `total_images`, {total_images}, since the learning rate falls to 0 "
                "there",
                end,
                "raise `decay_until` too, or lower `total_images`",
            )
        return replace(self, decay_until=end)

    def check_images(self, images: ImageSpec) -> None:
        super().check_images(images)
        if images.channels not in (1, 3):
            raise RecipeError(
                f"Images of {self.name} must have 1 or 3 channels, got {images.channels}: put "
                f"transparent images on a background."
            )
        if self.task is None:
            return
        name, words = NEEDED[self.task]
        if name not in images.inputs:
            raise RecipeError(
                f"{self.name} learns from {words}, but the data set gives images alone: open it "
                f"with open_dataset(..., task={self.task!r})."
            )

    def sample(
        self, networks: Networks, count: int, *, generator: Generator, rows: Batch | None = None
    ) -> Tensor:
        """Return translations of `rows`, comparable with its `real` images."""
        if rows is None or len(rows.real) != count:
            length = "none" if rows is None else len(rows.real)
            raise RecipeError(
                f"rows must have one row for each of the {count} images of {self.name}, "
                f"got {length}."
            )
        return self.translate(networks, self.source(rows), generator=generator)

    def source(self, rows: Batch) -> Mapping[str, Tensor]:
        """Return the inputs of `translate` for rows of data."""
        return rows.inputs

    @property
    def scale_factor(self) -> int:
        """Upscaling factor from input to output."""
        return 1

    def complete_inputs(
        self, networks: Networks, inputs: Mapping[str, Tensor], attributes: Sequence[str]
    ) -> Mapping[str, Tensor]:
        """Return the inputs of a whole picture with all that `translate` takes beside them.

        Args:
            attributes: names of attributes to give to the picture.

        Raises:
            RecipeError: the picture can't be given these attributes.
        """
        if attributes:
            raise RecipeError.of(
                "attributes", f"empty for {self.name}", tuple(attributes), "leave it out"
            )
        return inputs

    @abstractmethod
    def translate(
        self, networks: Networks, inputs: Mapping[str, Tensor], *, generator: Generator
    ) -> Tensor:
        """Return images, float32 `[N, C, scale_factor·H, scale_factor·W]` in [-1, 1].

        Args:
            inputs: inputs by name, in the form of `Batch.inputs`. Heights and widths are multiples
                of `size_divisor`, `min_size` or more.
            generator: CPU generator of all randomness.
        """

    @abstractmethod
    def size_divisor(self, networks: Networks) -> int:
        """Return the divisor of the heights and widths that the networks take."""


@contextmanager
def seeded(generator: Generator, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators within a block, for layers that draw, such as dropout."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield


def plane(name: str, channels: int, meaning: str, kind: Kind = "image", *, scale: int = 1) -> Port:
    """Return the port of an image, or of another input with its size: `[channels, height, width]`.

    Args:
        name: name of the port.
        channels: number of channels.
        meaning: meaning of the port.
        kind: kind of its values.
        scale: factor of height and width.
    """
    sides = tuple(side if scale == 1 else f"{scale}*{side}" for side in ("height", "width"))
    return Port(name, (channels, *sides), meaning, kind)
