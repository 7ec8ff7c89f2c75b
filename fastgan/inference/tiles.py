"""Pictures of any size through a network that translates: padded to what it takes, in blended tiles where they're large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter

import torch
from torch import Generator, Tensor

from fastgan.recipes import Networks
from fastgan.recipes.translation import Translation

OVERLAP = 8  # a tile shares at least an eighth of its side with the next


def translate_picture(
    recipe: Translation,
    networks: Networks,
    inputs: Mapping[str, Tensor],
    *,
    seed: int,
    tile: int,
) -> Tensor:
    """What becomes of a picture: `[C, H', W']`, `recipe.enlarges` times as high and wide.

    Where its sides aren't what the networks take, it is continued by its mirror image, and the result cropped. Above `tile`
    pixels of height or width it is translated in overlapping tiles that are blended linearly; what networks normalise over
    is each tile then. Networks are to be in eval mode, under no_grad.

    Args:
        inputs: what `recipe.translate` takes, by name, for one picture: those of three dimensions or more, `[1, …, H, W]`,
            are continued and cut alike; others, such as attributes, go with every tile.
        seed: of what is random, anew for every tile.
        tile: at least what networks take, which it's rounded down to.
    """

    def translate(part: Mapping[str, Tensor]) -> Tensor:
        return recipe.translate(networks, part, generator=Generator().manual_seed(seed)).float()

    multiple, scale = recipe.multiple(networks), recipe.enlarges
    least = -(-recipe.least // multiple) * multiple
    return tiled(
        lambda part: padded(translate, part, multiple=multiple, least=least, scale=scale),
        inputs,
        tile=max(least, tile // multiple * multiple),
        scale=scale,
    )[0]


def padded(
    translate: Callable[[Mapping[str, Tensor]], Tensor],
    inputs: Mapping[str, Tensor],
    *,
    multiple: int,
    least: int,
    scale: int,
) -> Tensor:
    """`translate` of inputs continued by reflection to multiples of `multiple`, at least `least`; cropped."""
    height, width = _size(inputs)
    rows, top = _reflected(height, max(least, -(-height // multiple) * multiple))
    columns, left = _reflected(width, max(least, -(-width // multiple) * multiple))
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
    """`translate` of inputs, tile by tile where they're higher or wider than `tile` pixels."""
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
    """Height and width of a picture's inputs."""
    height, width = next(t.shape[-2:] for t in inputs.values() if t.ndim > 2)
    return height, width


def _each(inputs: Mapping[str, Tensor], change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The inputs, those that have a height and width changed."""
    return {name: change(t) if t.ndim > 2 else t for name, t in inputs.items()}


def _starts(length: int, tile: int) -> list[int]:
    """Where evenly spread tiles begin, that cover `length` pixels and overlap."""
    if length <= tile:
        return [0]
    steps = -(-(length - tile) // (tile - tile // OVERLAP))
    return [round(i * (length - tile) / steps) for i in range(steps + 1)]


def _ramp(length: int, tile: int) -> Tensor:
    """A tile's share along one side: 1 inside, falling towards its ends over what it shares with the next."""
    place = torch.arange(length) + 1.0
    return (torch.minimum(place, place.flip(0)) / max(1, tile // OVERLAP)).clamp(max=1)


def _reflected(length: int, target: int) -> tuple[Tensor, int]:
    """Indices of `target` pixels that continue `length` ones by reflection on both sides, and how many come before."""
    before = (target - length) // 2
    place = torch.arange(target) - before
    if length == 1:
        return torch.zeros_like(place), before
    place = place.remainder(2 * (length - 1))
    return torch.minimum(place, 2 * (length - 1) - place), before
