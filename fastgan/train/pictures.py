"""Pictures of any size through a network that translates: padded to what it takes, in blended tiles where they're large."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from fastgan.recipes import Networks
from fastgan.recipes.translation import Translation

OVERLAP = 8  # a tile shares at least an eighth of its side with the next


def translate_picture(
    recipe: Translation,
    networks: Networks,
    picture: Tensor,
    *,
    name: str,
    seed: int,
    tile: int,
) -> Tensor:
    """What becomes of a picture float32 `[C, H, W]` in [-1, 1]: `[C', H', W']`, `recipe.enlarges` times as high and wide.

    Where its sides aren't what the networks take, it is continued by its mirror image, and the result cropped. Above `tile`
    pixels of height or width it is translated in overlapping tiles that are blended linearly; what networks normalise over
    is each tile then. Networks are to be in eval mode, under no_grad.

    Args:
        name: the input that it's given as, one of `recipe.directions`.
        seed: of what is random, anew for every tile.
        tile: at least what networks take, which it's rounded down to.
    """

    def translate(part: Tensor) -> Tensor:
        inputs: Mapping[str, Tensor] = {name: part}
        return recipe.translate(networks, inputs, generator=Generator().manual_seed(seed)).float()

    multiple, scale = recipe.multiple(networks), recipe.enlarges
    least = -(-recipe.least // multiple) * multiple
    return tiled(
        lambda part: padded(translate, part, multiple=multiple, least=least, scale=scale),
        picture[None],
        tile=max(least, tile // multiple * multiple),
        scale=scale,
    )[0]


def padded(
    translate: Callable[[Tensor], Tensor], images: Tensor, *, multiple: int, least: int, scale: int
) -> Tensor:
    """`translate` of images `[N, C, H, W]` continued by reflection to multiples of `multiple`, at least `least`; cropped."""
    height, width = images.shape[2:]
    rows, top = _reflected(height, max(least, -(-height // multiple) * multiple))
    columns, left = _reflected(width, max(least, -(-width // multiple) * multiple))
    whole = images[:, :, rows.to(images.device)][..., columns.to(images.device)]
    found = translate(whole)
    return found[:, :, scale * top :, scale * left :][:, :, : scale * height, : scale * width]


def tiled(translate: Callable[[Tensor], Tensor], images: Tensor, *, tile: int, scale: int) -> Tensor:
    """`translate` of images `[N, C, H, W]`, tile by tile where they're higher or wider than `tile` pixels."""
    height, width = images.shape[2:]
    if max(height, width) <= tile:
        return translate(images)
    total = weight = torch.zeros(())
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            found = translate(images[:, :, top : top + tile, left : left + tile])
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
