"""Generated images: as tensors and as a grid in a PNG file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from fastgan.data import image_grid, save_png, to_uint8
from fastgan.recipes import Networks, Recipe

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


def sample_batches(
    recipe: Recipe, networks: Networks, count: int, *, seed: int, chunk: int = 256
) -> Iterator[Tensor]:
    """`count` generated images in batches, float32 `[<= chunk, C, H, W]` on the networks' device.

    The seed alone decides the noise. Take them within `evaluation`.
    """
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, chunk):
        yield recipe.sample(networks, min(chunk, count - start), generator=generator).float()


def sample_images(recipe: Recipe, networks: Networks, count: int, *, seed: int, chunk: int = 256) -> Tensor:
    """`count` generated images float32 `[count, C, H, W]` on the CPU; the seed alone decides the noise."""
    with evaluation(networks) as networks:
        parts = sample_batches(recipe, networks, count, seed=seed, chunk=chunk)
        return torch.cat([part.cpu() for part in parts])


def save_grid(path: Path, recipe: Recipe, networks: Networks, *, seed: int, rows: int, columns: int) -> None:
    """Writes a PNG of rows × columns generated images; small ones are enlarged to at least 64 pixels."""
    images = to_uint8(sample_images(recipe, networks, rows * columns, seed=seed))
    scale = max(1, MIN_TILE // images.shape[-1])
    images = images.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
    save_png(path, image_grid(images, columns))
