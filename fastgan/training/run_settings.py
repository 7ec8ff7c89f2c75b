"""Settings of a run beside those of its recipe: data, length and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastgan.data import DataError, ImageDataset, Reading, open_dataset
from fastgan.data.levels import parse_range
from fastgan.data.reading import Fit
from fastgan.errors import SettingError
from fastgan.recipes import ImageSpec, Recipe
from fastgan.recipes.fields import check_fields


class ConfigError(SettingError):
    """Settings, options or a saved configuration can't be used; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Data, length and seed of a run."""

    data: str
    """Data set by name (docs/data.md lists them: mnist5k, shapes, faces …), folder or .zip."""
    resolution: int | None = None
    """Height and width of the images in pixels; None takes the data set's own."""
    fit: Fit = "crop"
    """Squaring of pictures: crop cuts the centre out, pad adds black, stretch distorts."""
    range: str = "auto"
    """Values LOW:HIGH of black and white in files of more than 8 bits; auto takes the extremes."""
    total_images: int
    """Real images to show in all; the run ends after the step that reaches it."""
    seed: int = 0
    """Seed of everything random: weights, noise, dropout, the order of the images."""

    def __post_init__(self) -> None:
        check_fields(self, ConfigError)
        if self.total_images < 1:
            raise ConfigError.of("total_images", "at least 1", self.total_images)
        try:
            parse_range(self.range)
        except DataError as error:
            raise ConfigError(error.marked) from None

    @classmethod
    def of(cls, recipe: Recipe | type[Recipe], **changes: Any) -> RunSettings:
        """Return a recipe's usual settings of a run, with changes by name.

        Raises:
            ConfigError: a value can't be used.
            TypeError: a name isn't one of these settings.
        """
        usual: dict[str, Any] = {
            "data": recipe.default_data,
            "resolution": recipe.default_resolution,
            "total_images": recipe.default_images,
        }
        return cls(**(usual | changes))

    def reading(self, recipe: Recipe) -> Reading:
        """Return the settings for reading picture files."""
        return recipe.adapt_reading(Reading(fit=self.fit, range=self.range))

    def open_data(self, recipe: Recipe, image_spec: ImageSpec | None = None) -> ImageDataset:
        """Open the data set in the form that a recipe learns from.

        Args:
            recipe: recipe that decides which inputs come with the images.
            image_spec: images of a run that was started, whose resolution, channels and levels
                apply. None takes ``resolution`` and the data set's own channels.

        Raises:
            DataError: as ``open_dataset``.
        """
        reading = self.reading(recipe)
        return open_dataset(
            self.data,
            resolution=self.resolution if image_spec is None else image_spec.resolution,
            channels=None if image_spec is None else image_spec.channels,
            task=recipe.task,
            reading=reading if image_spec is None else image_spec.reading(reading),
        )
