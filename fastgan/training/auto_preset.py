"""Choice of a run's preset: the defaults that its resolution, budget and device ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fastgan.data import DataError, ImageDataset, open_dataset
from fastgan.data.reading import Fit, Reading
from fastgan.recipes import Recipe
from fastgan.recipes.presets import PresetName
from fastgan.training.defaults import Defaults
from fastgan.training.run_settings import ConfigError

AnyPreset = Literal["auto", "paper", "small"]
FEWEST_ON_A_CPU = 1_000_000
"""Images from which on a CPU trains the paper's networks, since its user has the time."""
MOST_ON_A_GPU = 200_000
"""Images up to which a GPU trains small networks."""
MOST_HOURS_ON_A_GPU = 1.0
"""Hours up to which a GPU trains small networks."""
MOST_PIXELS_ON_A_GPU = 64
"""Resolution up to which a GPU trains small networks."""


class Choice(NamedTuple):
    """A preset, and the reason for it as a clause."""

    preset: PresetName
    reason: str


@dataclass(frozen=True)
class Asked:
    """Settings of a run that its preset depends on, as its user gave them; None if not.

    Attributes:
        preset: preset, or auto.
        data: name or path of the data, or the data set.
        resolution: height and width of the images in pixels.
        fit: squaring of pictures, from which the resolution of a folder may follow.
        total_images: real images that the run shows.
        hours: time for the run.
        device: type of the device, "cpu" or "cuda".
        begins_trained: True for a run that begins with trained weights.
    """

    preset: AnyPreset = "auto"
    data: str | Path | ImageDataset | None = None
    resolution: int | None = None
    fit: Fit = "crop"
    total_images: int | None = None
    hours: float | None = None
    device: str = "cpu"
    begins_trained: bool = False

    def __post_init__(self) -> None:
        if self.preset not in ("auto", "paper", "small"):
            raise ConfigError.of("preset", "one of auto, paper, small", self.preset)


class Resolved(NamedTuple):
    """Values of a preset.

    Attributes:
        of_recipe: settings of the recipe by name.
        of_run: settings of the run by name.
        defaults: origin of the values.
    """

    of_recipe: dict[str, Any]
    of_run: dict[str, Any]
    defaults: Defaults


def choose(
    recipe: type[Recipe],
    *,
    device: str,
    resolution: int,
    total_images: int | None = None,
    hours: float | None = None,
    begins_trained: bool = False,
) -> Choice:
    """Return what `auto` means for a run; arguments are those of ``Asked``."""
    if "small_preset" not in vars(recipe):
        return Choice("paper", f"{recipe.name} has no other")
    if begins_trained:
        return Choice("paper", "the run begins with trained weights")
    if device == "cpu":
        if total_images is not None and total_images >= FEWEST_ON_A_CPU:
            return Choice("paper", f"{total_images:,} images are enough for the paper's networks")
        return Choice("small", "the paper's networks take days on a CPU")
    few = total_images is not None and total_images <= MOST_ON_A_GPU
    brief = hours is not None and hours <= MOST_HOURS_ON_A_GPU
    if resolution <= MOST_PIXELS_ON_A_GPU and (few or brief):
        budget = f"{total_images:,} images are" if few else f"{hours:g} hours are"
        return Choice("small", f"{budget} too few for the paper's networks")
    return Choice("paper", f"{device} has the speed for the paper's networks")


def resolve(recipe: type[Recipe], asked: Asked) -> Resolved:
    """Return the values of the preset that a user asked for, or that `auto` chooses.

    Raises:
        RecipeError: the recipe has no such preset.
    """
    resolution, name, reason = None, asked.preset, ""
    if name == "auto":
        # A recipe without small networks has nothing to choose, and its data wait for the run.
        if "small_preset" in vars(recipe):
            resolution = _resolution(recipe, asked)
        name, reason = choose(
            recipe,
            device=asked.device,
            resolution=resolution or 0,
            total_images=asked.total_images,
            hours=asked.hours,
            begins_trained=asked.begins_trained,
        )
    defaults = Defaults(name, reason, asked.hours)
    if name == "paper":
        return Resolved({}, {}, defaults)
    resolution = resolution or _resolution(recipe, asked)
    found = recipe.find_preset(name, resolution=resolution, total_images=asked.total_images)
    of_run: dict[str, Any] = {"total_images": found.total_images}
    usual = min(2 ** (resolution.bit_length() - 1), found.resolution or resolution)
    if asked.resolution is None and recipe.default_resolution is None and usual < resolution:
        of_run["resolution"] = usual
        found = recipe.find_preset(name, resolution=usual, total_images=asked.total_images)
        of_run["total_images"] = found.total_images
    return Resolved(dict(found.settings), of_run, defaults)


def _resolution(recipe: type[Recipe], asked: Asked) -> int:
    """Return the resolution that the run has without a preset."""
    given = asked.resolution or recipe.default_resolution
    if given is not None:
        return given
    if isinstance(asked.data, ImageDataset):
        return asked.data.resolution
    reading = Reading(fit=asked.fit)
    try:
        return open_dataset(str(asked.data or recipe.default_data), reading=reading).resolution
    except DataError:
        # The run says what is wrong with the data, after its other settings were checked.
        return 32
