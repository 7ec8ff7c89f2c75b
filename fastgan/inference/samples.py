"""Generated images: as tensors and as a grid in a PNG file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from fastgan.data import ImageDataset, image_grid, save_png, to_batch, to_float, to_uint8
from fastgan.recipes import Batch, Networks, Recipe, RecipeError

MIN_TILE = 64  # pixels; smaller images are enlarged by a whole factor so that a person sees them


@contextmanager
def evaluation(networks: Networks) -> Iterator[Networks]:
    """The networks in eval mode and without gradients, each put back into the mode it was in."""
    modes = {name: network.training for name, network in networks.items()}
    try:
        with torch.no_grad():
            yield {name: network.eval() for name, network in networks.items()}
    finally:
        for name, network in networks.items():
            network.train(modes[name])


def unseen(recipe: Recipe, dataset: ImageDataset) -> ImageDataset:
    """What samples are made of and compared with: where the recipe translates, images that it isn't trained on, if there
    are any."""
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
) -> Iterator[tuple[Tensor, Batch | None]]:
    """`count` generated images in batches, float32 `[<= chunk, C, H, W]` on the networks' device, with what they're made of.

    The seed alone decides the noise. Take them within `evaluation`.

    dataset: what samples are made of where the recipe `translates`, from its first image on, and anew at its end. Raises
    RecipeError if that is missing.
    """
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, chunk):
        number = min(chunk, count - start)
        given = given_rows(recipe, networks, dataset, range(start, start + number))
        yield recipe.sample(networks, number, generator=generator, given=given).float(), given


def given_rows(
    recipe: Recipe, networks: Networks, dataset: ImageDataset | None, rows: range
) -> Batch | None:
    """What samples of these numbers are made of, on the networks' device; None where noise is enough."""
    if not recipe.translates:
        return None
    if dataset is None:
        raise RecipeError(
            f"{recipe.name} makes images of images, so its samples need a data set, but none came."
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
    """`count` generated images float32 `[count, C, H, W]` on the CPU, as `sample_batches` makes them."""
    with evaluation(networks) as networks:
        parts = sample_batches(recipe, networks, count, seed=seed, chunk=chunk, dataset=dataset)
        return torch.cat([part.cpu() for part, _ in parts])


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
    """Writes a PNG of rows × columns images; small ones are enlarged to at least 64 pixels.

    They are samples; of a recipe that translates, its views: a row of each for so many columns, in bands below each other
    that fill at most `rows`. Returns their names, empty for samples alone.
    """
    names, images = view_rows(
        recipe, networks, seed=seed, rows=rows, columns=columns, dataset=dataset
    )
    pixels = to_uint8(images)
    scale = max(1, MIN_TILE // pixels.shape[-1])
    pixels = pixels.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    save_png(path, image_grid(pixels, columns))
    return names


def view_rows(
    recipe: Recipe,
    networks: Networks,
    *,
    seed: int,
    rows: int,
    columns: int,
    dataset: ImageDataset | None = None,
) -> tuple[tuple[str, ...], Tensor]:
    """Names of a recipe's views, and the images of a grid of them float32 `[N, C, H, W]`, row by row."""
    if not recipe.translates:
        return (), sample_images(recipe, networks, rows * columns, seed=seed, dataset=dataset)
    names: tuple[str, ...] = ()
    bands: list[Tensor] = []
    generator = torch.Generator().manual_seed(seed)
    with evaluation(networks) as networks:
        while not bands or (len(bands) + 1) * len(names) <= rows:
            first = len(bands) * columns
            given = given_rows(recipe, networks, dataset, range(first, first + columns))
            assert given is not None
            output = recipe.sample(networks, columns, generator=generator, given=given)
            views = recipe.views(networks, given, output)
            names = tuple(views)
            bands.append(torch.cat([_in_colour(view) for view in views.values()]).float().cpu())
    return names, torch.cat(bands)


def _in_colour(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1)
