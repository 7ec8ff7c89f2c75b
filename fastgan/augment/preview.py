"""Picture of the augmentations."""

from __future__ import annotations

import os

import torch

from fastgan.augment.ada import ADA
from fastgan.augment.diffaugment import DiffAugment
from fastgan.augment.settings import TRANSFORMATIONS
from fastgan.data.images import image_grid, save_png, to_float, to_uint8
from fastgan.data.shapes import ShapesDataset


def preview(
    path: str | os.PathLike[str], *, resolution: int = 64, count: int = 8, seed: int = 0
) -> None:
    """Write a PNG with ``count`` images of `shapes` in nine rows.

    The first row has the original images. Six rows have a category of ADA each at p = 1: blit,
    geom, color, filter, noise, cutout. The last two rows have all categories at p = 1, and
    DiffAugment.

    Raises:
        DataError: the file can't be written, or pillow isn't installed.
    """
    pixels, _ = ShapesDataset(resolution=resolution, seed=seed).batch(torch.arange(count))
    images, generator = to_float(pixels), torch.Generator().manual_seed(seed)
    pipes = [ADA(resolution, categories=name, p=1.0) for name in (*TRANSFORMATIONS, "bgcfnc")]
    rows = [pixels]
    for augment in (*pipes, DiffAugment()):
        rows.append(to_uint8(augment(images, augment.draw(count, generator))))
    save_png(path, image_grid(torch.cat(rows), count))
