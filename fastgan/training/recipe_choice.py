"""Choice of a recipe for data: by its number of images, resolution, labels, and the device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fastgan.data import ImageDataset, Task
from fastgan.recipes import RECIPES

FEW = 2_000
"""Number of images below which D overfits without augmentation (Karras et al. 2020b, figure 1)."""
RECIPE_OF_TASK: dict[Task, str] = {
    "pairs": "pix2pix",
    "domains": "cyclegan",
    "maps": "gaugan",
    "captions": "text2image",
    "attributes": "stargan",
}
FOR_FEW = "lightgan"
"""Recipe for few images without labels; it knows no classes."""
FOR_FEW_OF_CLASSES = "stylegan2-ada"
"""Recipe for few images with labels, or where there is no other."""
HIGHEST = {"cpu": 64, "cuda": 256}
"""Highest resolution that is chosen, by type of device."""
LOWEST = 16
WORDS: dict[Task, str] = {
    "pairs": "pairs of images",
    "domains": "two domains",
    "maps": "images with maps",
    "captions": "images with captions",
    "attributes": "images with attributes",
}


@dataclass(frozen=True)
class DataFacts:
    """Facts about data that decide on a recipe.

    Attributes:
        images: number of images.
        resolution: height and width of the images in pixels.
        classes: number of classes, 0 without labels.
        task: data beside the images, None for images alone.
    """

    images: int
    resolution: int
    classes: int = 0
    task: Task | None = None

    @classmethod
    def of(cls, dataset: ImageDataset, task: Task | None = None) -> DataFacts:
        """Return the facts about a data set."""
        labelled = not dataset.unlabelled and dataset.num_classes > 1
        classes = dataset.num_classes if labelled else 0
        return cls(len(dataset), dataset.resolution, classes, task)


class RecipeChoice(NamedTuple):
    """Recipe, some of its settings, and the reason as a clause."""

    recipe: str
    conditional: bool
    resolution: int
    reason: str


def choose_recipe(
    facts: DataFacts, device: str, known: Collection[str] = RECIPES.keys()
) -> RecipeChoice:
    """Return the recipe for data on a device.

    Few images need a recipe that guards D against overfitting. Many take `stylegan2`, whose small
    networks learn within minutes on a CPU, or `r3gan` on a GPU up to 256×256.

    Args:
        facts: facts about the data.
        device: type of the device, "cpu" or "cuda".
        known: names of the recipes to choose from.
    """
    resolution = _resolution(facts.resolution, HIGHEST.get(device, HIGHEST["cpu"]))
    where = "a GPU" if device == "cuda" else "a CPU"
    if facts.task is not None:
        reason = f"the data holds {WORDS[facts.task]}"
        return RecipeChoice(RECIPE_OF_TASK[facts.task], False, resolution, reason)
    labels = f" of {facts.classes:,} classes" if facts.classes else ""
    reason = f"{facts.images:,} images{labels} on {where}"
    if facts.images < FEW:
        light = FOR_FEW in known and not facts.classes
        name = FOR_FEW if light else FOR_FEW_OF_CLASSES
        reason += ", few enough for D to overfit"
    elif device == "cuda" and facts.resolution >= 64:
        name = "r3gan"
    else:
        name = "stylegan2"
    return RecipeChoice(name, facts.classes > 1, resolution, reason)


def task_of_folder(data: str) -> Task | None:
    """Return the task that the layout of a folder is for (docs/data.md); None for plain images.

    Pairs that stand side by side in one picture look like plain images.
    """
    root = Path(data)
    if (root / "trainA").is_dir() and (root / "trainB").is_dir():
        return "domains"
    for folder in (root / "train", root):
        if (folder / "maps").is_dir() and (folder / "images").is_dir():
            return "maps"
        if (folder / "inputs").is_dir() and (folder / "images").is_dir():
            return "pairs"
        if (folder / "captions.jsonl").is_file():
            return "captions"
        if any((folder / name).is_file() for name in ("attributes.csv", "attributes.jsonl")):
            return "attributes"
    return None


def _resolution(own: int, highest: int) -> int:
    """Return the largest power of two up to the images' own resolution and the highest one."""
    return max(LOWEST, min(1 << (own.bit_length() - 1), highest))
