"""Generated images as tensors, and as a grid in a PNG file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.data import ImageDataset, image_grid, save_png, to_batch, to_float, to_uint8
from fastgan.data.scatter import are_points, scatter
from fastgan.recipes import Batch, Networks, Recipe, RecipeError
from fastgan.recipes.noise import NoiseToImage

MIN_TILE = 64
"""Pixels of a picture in a grid: smaller ones are enlarged by a whole factor."""


class Samples(NamedTuple):
    """Batch of N generated images, and what they were made of.

    Attributes:
        images: float32 `[N, C, H, W]` on the networks' device.
        rows: rows of data, None for a recipe that draws from noise.
        classes: requested classes int64 `[N]`, None for a recipe without.
    """

    images: Tensor
    rows: Batch | None
    classes: Tensor | None


@contextmanager
def evaluation(networks: Networks) -> Iterator[Networks]:
    """Yield the networks in eval mode without gradients; restore the mode of each afterwards."""
    modes = {name: network.training for name, network in networks.items()}
    try:
        with torch.no_grad():
            yield {name: network.eval() for name, network in networks.items()}
    finally:
        for name, network in networks.items():
            network.train(modes[name])


def unseen(recipe: Recipe, dataset: ImageDataset) -> ImageDataset:
    """Return the data to compare samples with, which a recipe that translates makes them of.

    For such a recipe it is the held-out part of the data, if there is one.
    """
    held_out = dataset.held_out() if recipe.translates else None
    return dataset if held_out is None else held_out


def sample_batches(
    recipe: Recipe,
    networks: Networks,
    count: int,
    *,
    seed: int,
    chunk: int = 256,
    dataset: ImageDataset | None = None,
) -> Iterator[Samples]:
    """Generate images in batches.

    Iterate within `evaluation`. The seed alone decides the noise.

    Args:
        count: number of images.
        chunk: images in a batch.
        dataset: data for a recipe that `translates`, from its first image on, then again from
            there.

    Yields:
        At most `chunk` images.

    Raises:
        RecipeError: the recipe translates, but there is no data set.
    """
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, chunk):
        number = min(chunk, count - start)
        rows = data_rows(recipe, networks, dataset, range(start, start + number))
        classes: Tensor | None = None
        if isinstance(recipe, NoiseToImage) and recipe.conditional:
            noise, classes = recipe.draw_inputs(networks, number, generator=generator)
            images = recipe.images_of(networks, noise, classes)
        else:
            images = recipe.sample(networks, number, generator=generator, rows=rows)
        yield Samples(images.float(), rows, classes)


def data_rows(
    recipe: Recipe, networks: Networks, dataset: ImageDataset | None, rows: range
) -> Batch | None:
    """Return rows of data on the networks' device; None for a recipe that draws from noise.

    Raises:
        RecipeError: the recipe translates, but there is no data set.
    """
    if not recipe.translates:
        return None
    if dataset is None:
        raise RecipeError(
            f"dataset must be a data set for the samples of {recipe.name}, which makes images of "
            f"images, got None."
        )
    device = next(p.device for network in networks.values() for p in network.parameters())
    indices = torch.tensor([i % len(dataset) for i in rows])
    images, labels, stored = dataset.examples(indices)
    inputs = to_batch(stored, dataset.inputs)
    return Batch(
        to_float(images).to(device),
        labels.to(device),
        inputs={name: t.to(device) for name, t in inputs.items()},
    )


def sample_images(
    recipe: Recipe,
    networks: Networks,
    count: int,
    *,
    seed: int,
    chunk: int = 256,
    dataset: ImageDataset | None = None,
) -> Tensor:
    """Return images float32 `[count, C, H, W]` on the CPU, generated as by `sample_batches`."""
    with evaluation(networks) as networks:
        parts = sample_batches(recipe, networks, count, seed=seed, chunk=chunk, dataset=dataset)
        return torch.cat([part.images.cpu() for part in parts])


def save_grid(
    path: Path,
    recipe: Recipe,
    networks: Networks,
    *,
    seed: int,
    rows: int,
    columns: int,
    dataset: ImageDataset | None = None,
) -> tuple[str, ...]:
    """Write a PNG file of rows × columns images, laid out as by `draw_grid`.

    A recipe that translates shows its views instead of samples, one row each. Bands of them stand
    below each other and fill at most `rows`.

    Returns:
        Names of the views; empty for samples alone.
    """
    names, images = view_rows(
        recipe, networks, seed=seed, rows=rows, columns=columns, dataset=dataset
    )
    save_png(path, draw_grid(images, columns))
    return names


def draw_grid(images: Tensor, columns: int) -> Tensor:
    """Lay out images row by row, or draw points in the plane as one scatter plot.

    Args:
        images: floats `[N, C, H, W]` in [-1, 1]; `[N, 2, 1, 1]` are points.
        columns: images per row.

    Returns:
        uint8 `[3, height, width]`.
    """
    return scatter(images) if are_points(images) else image_grid(enlarged(images), columns)


def enlarged(images: Tensor) -> Tensor:
    """Return images as uint8, small ones enlarged by a whole factor to at least 64 pixels."""
    scale = max(1, MIN_TILE // images.shape[-1])
    return to_uint8(images).repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)


def view_rows(
    recipe: Recipe,
    networks: Networks,
    *,
    seed: int,
    rows: int,
    columns: int,
    dataset: ImageDataset | None = None,
) -> tuple[tuple[str, ...], Tensor]:
    """Return names of a recipe's views, and a grid of them, float32 `[N, C, H, W]` row by row."""
    if not recipe.translates:
        return (), sample_images(recipe, networks, rows * columns, seed=seed, dataset=dataset)
    names: tuple[str, ...] = ()
    bands: list[Tensor] = []
    generator = torch.Generator().manual_seed(seed)
    with evaluation(networks) as networks:
        while not bands or (len(bands) + 1) * len(names) <= rows:
            first = len(bands) * columns
            batch = data_rows(recipe, networks, dataset, range(first, first + columns))
            assert batch is not None
            output = recipe.sample(networks, columns, generator=generator, rows=batch)
            views = recipe.views(networks, batch, output)
            names = tuple(views)
            bands.append(torch.cat([_in_colour(view) for view in views.values()]).float().cpu())
    return names, torch.cat(bands)


def _in_colour(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1)
