"""Recognition of the shape and colour in a picture of `shapes`, also in noisy ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fastgan.data.shapes import COLOURS, SHAPES

TURNS = 24
# Smaller covers are noise that centre and area ignore.
LOW = 0.4


def shape_and_colour(images: Tensor, *, turns: int = TURNS) -> tuple[Tensor, Tensor]:
    """Return indices in ``SHAPES`` and ``COLOURS``, int64 ``[N]`` each.

    Each shape is rendered at the picture's centre of mass with its area, at several angles. The one
    that correlates best with the picture is returned.

    Args:
        images: uint8 ``[N, 3, R, R]``.
        turns: number of angles.
    """
    cover, colour = covered(images)
    side, fine = ((torch.arange(n) + 0.5) / n for n in (images.shape[-1], 2 * images.shape[-1]))
    x, y, area = moments(torch.where(cover > LOW, cover, 0), side)
    scores = []
    for inside in SHAPES.values():
        points = (torch.arange(256) + 0.5) / 128 - 1
        grid = torch.meshgrid(points, points, indexing="xy")
        own_x, own_y, own_area = moments(inside(*grid).float()[None], points)
        size, correlations = (area / (4 * own_area)).sqrt(), []
        for turn in range(turns):
            cos, sin = math.cos(2 * math.pi * turn / turns), math.sin(2 * math.pi * turn / turns)
            u = (fine.view(1, 1, -1) - x) / size + cos * own_x - sin * own_y
            v = (fine.view(1, -1, 1) - y) / size + sin * own_x + cos * own_y
            rendered = avg_pool2d(inside(u * cos + v * sin, v * cos - u * sin).float(), 2)
            energies = rendered.square().sum((1, 2)) * cover.square().sum((1, 2))
            norm = energies.sqrt().clamp(min=1e-6)
            correlations.append((rendered * cover).sum((1, 2)) / norm)
        scores.append(torch.stack(correlations).amax(0))
    return torch.stack(scores).argmax(0), colour


def covered(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's share of the shape's colour, ``[N, R, R]`` in [0, 1], and the colour.

    The background is the median of the border. The colour, an index in ``COLOURS``, is the one
    whose mix with the background fits the picture best.
    """
    pixels = images.float()
    edges = torch.cat([pixels[:, :, 0], pixels[:, :, -1], pixels[..., 0], pixels[..., -1]], 2)
    paper = edges.median(2).values[:, :, None, None]
    away, shares, errors = pixels - paper, [], []
    for colour in COLOURS.values():
        ink = torch.tensor(colour).float().view(1, 3, 1, 1) - paper
        share = ((away * ink).sum(1, keepdim=True) / ink.square().sum(1, keepdim=True)).clamp(0, 1)
        shares.append(share[:, 0])
        errors.append((away - share * ink).square().sum((1, 2, 3)))
    best = torch.stack(errors).argmin(0)
    return torch.stack(shares)[best, torch.arange(len(images))], best


def moments(cover: Tensor, side: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return centre x, centre y and area of covers ``[N, R, R]``, each ``[N, 1, 1]``.

    Args:
        cover: share of the shape in each pixel.
        side: coordinates of the pixels, ``[R]``.
    """
    total = cover.sum((1, 2)).clamp(min=1e-6)
    x, y = ((cover.sum(over) * side).sum(1) / total for over in (1, 2))
    share = cover.mean((1, 2)).clamp(min=1e-3)
    return x.view(-1, 1, 1), y.view(-1, 1, 1), share.view(-1, 1, 1)
