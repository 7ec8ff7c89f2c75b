"""Translation of pictures of any size: padded to the network's sizes, in blended tiles if large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter

import torch
from torch import Generator, Tensor

from fastgan.recipes import Networks
from fastgan.recipes.translation import Translation

OVERLAP = 8
"""A tile shares at least this part of its side, an eighth, with the next."""


def translate_picture(
    recipe: Translation,
    networks: Networks,
    inputs: Mapping[str, Tensor],
    *,
    seed: int,
    tile: int,
) -> Tensor:
    """Translate a picture of any size; call it under no_grad with networks in eval mode.

    A picture whose sides the networks don't take is continued by its mirror image, and the result
    is cropped. One with a side above `tile` pixels is translated in overlapping tiles, which are
    blended linearly. Networks then normalise over each tile by itself.

    Args:
        inputs: inputs of `recipe.translate` by name, for one picture. Those of three dimensions or
            more, `[1, …, H, W]`, are continued and cut alike; others, such as attributes, go with
            every tile.
        seed: seed of random parts, the same for every tile.
        tile: side of a tile in pixels, rounded down to a size that the networks take.

    Returns:
        `[C, s·H, s·W]`, with s the recipe's scale factor.
    """

    def translate(part: Mapping[str, Tensor]) -> Tensor:
        return recipe.translate(networks, part, generator=Generator().manual_seed(seed)).float()

    divisor, scale = recipe.size_divisor(networks), recipe.scale_factor
    min_size = -(-recipe.min_size // divisor) * divisor
    return tiled(
        lambda part: padded(translate, part, divisor=divisor, min_size=min_size, scale=scale),
        inputs,
        tile=max(min_size, tile // divisor * divisor),
        scale=scale,
    )[0]


def padded(
    translate: Callable[[Mapping[str, Tensor]], Tensor],
    inputs: Mapping[str, Tensor],
    *,
    divisor: int,
    min_size: int,
    scale: int,
) -> Tensor:
    """Translate inputs continued by reflection to multiples of `divisor`, and crop the result.

    min_size: smallest height and width to translate.
    """
    height, width = _size(inputs)
    rows, top = _reflected(height, max(min_size, -(-height // divisor) * divisor))
    columns, left = _reflected(width, max(min_size, -(-width // divisor) * divisor))
    found = translate(
        _each(inputs, lambda t: t[..., rows.to(t.device), :][..., columns.to(t.device)])
    )
    return found[:, :, scale * top :, scale * left :][:, :, : scale * height, : scale * width]


def tiled(
    translate: Callable[[Mapping[str, Tensor]], Tensor],
    inputs: Mapping[str, Tensor],
    *,
    tile: int,
    scale: int,
) -> Tensor:
    """Translate inputs, tile by tile if they are higher or wider than `tile` pixels."""
    height, width = _size(inputs)
    if max(height, width) <= tile:
        return translate(inputs)
    total = weight = torch.zeros(())
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            place = (..., slice(top, top + tile), slice(left, left + tile))
            found = translate(_each(inputs, itemgetter(place)))
            if not total.ndim:
                size = (scale * height, scale * width)
                total, weight = found.new_zeros(*found.shape[:2], *size), found.new_zeros(size)
            part = (
                slice(scale * top, scale * top + found.shape[2]),
                slice(scale * left, scale * left + found.shape[3]),
            )
            share = _ramp(found.shape[2], scale * tile).to(found)[:, None] * _ramp(
                found.shape[3], scale * tile
            ).to(found)
            total[:, :, part[0], part[1]] += share * found
            weight[part] += share
    return total / weight


def _size(inputs: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return height and width of a picture's inputs."""
    height, width = next(t.shape[-2:] for t in inputs.values() if t.ndim > 2)
    return height, width


def _each(inputs: Mapping[str, Tensor], change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Return the inputs, with `change` applied to those that have a height and width."""
    return {name: change(t) if t.ndim > 2 else t for name, t in inputs.items()}


def _starts(length: int, tile: int) -> list[int]:
    """Return the starts of evenly spread, overlapping tiles that cover `length` pixels."""
    if length <= tile:
        return [0]
    steps = -(-(length - tile) // (tile - tile // OVERLAP))
    return [round(i * (length - tile) / steps) for i in range(steps + 1)]


def _ramp(length: int, tile: int) -> Tensor:
    """Return a tile's weights along one side: 1 inside, falling where it overlaps the next."""
    place = torch.arange(length) + 1.0
    return (torch.minimum(place, place.flip(0)) / max(1, tile // OVERLAP)).clamp(max=1)


def _reflected(length: int, target: int) -> tuple[Tensor, int]:
    """Return indices that continue `length` pixels to `target` by reflection on both sides.

    The number of pixels before the first one is returned too.
    """
    before = (target - length) // 2
    place = torch.arange(target) - before
    if length == 1:
        return torch.zeros_like(place), before
    place = place.remainder(2 * (length - 1))
    return torch.minimum(place, 2 * (length - 1) - place), before
