"""Which shape, in which colour, a picture of `shapes` shows: what explains its pixels best, noisy ones too."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from fastgan.data.shapes import COLOURS, SHAPES

TURNS = 24
LOW = 0.4  # covers below that count as noise where a shape's centre and area are sought


def shape_and_colour(images: Tensor, *, turns: int = TURNS) -> tuple[Tensor, Tensor]:
    """Places in ``SHAPES`` and ``COLOURS``, int64 ``[N]`` each, of images uint8 ``[N, 3, R, R]``.

    The shape is the one that correlates best with the picture, drawn at its centre with its area, at the best of some turns.
    """
    cover, colour = covered(images)
    side, fine = ((torch.arange(n) + 0.5) / n for n in (images.shape[-1], 2 * images.shape[-1]))
    x, y, area = moments(torch.where(cover > LOW, cover, 0), side)
    scores = []
    for inside in SHAPES.values():
        points = (torch.arange(256) + 0.5) / 128 - 1
        grid = torch.meshgrid(points, points, indexing="xy")
        own_x, own_y, own_area = moments(inside(*grid).float()[None], points)
        size, turned = (area / (4 * own_area)).sqrt(), []
        for turn in range(turns):
            cos, sin = math.cos(2 * math.pi * turn / turns), math.sin(2 * math.pi * turn / turns)
            u = (fine.view(1, 1, -1) - x) / size + cos * own_x - sin * own_y
            v = (fine.view(1, -1, 1) - y) / size + sin * own_x + cos * own_y
            drawn = avg_pool2d(inside(u * cos + v * sin, v * cos - u * sin).float(), 2)
            norm = (drawn.square().sum((1, 2)) * cover.square().sum((1, 2))).sqrt().clamp(min=1e-6)
            turned.append((drawn * cover).sum((1, 2)) / norm)
        scores.append(torch.stack(turned).amax(0))
    return torch.stack(scores).argmax(0), colour


def covered(images: Tensor) -> tuple[Tensor, Tensor]:
    """How much of a pixel is the shape's colour rather than the border's median, ``[N, R, R]`` in [0, 1]; and which colour,
    the one that leaves the least of the picture unexplained.
    """
    pixels = images.float()
    edges = torch.cat([pixels[:, :, 0], pixels[:, :, -1], pixels[..., 0], pixels[..., -1]], 2)
    paper = edges.median(2).values[:, :, None, None]
    away, found, least = pixels - paper, [], []
    for colour in COLOURS.values():
        ink = torch.tensor(colour).float().view(1, 3, 1, 1) - paper
        share = ((away * ink).sum(1, keepdim=True) / ink.square().sum(1, keepdim=True)).clamp(0, 1)
        found.append(share[:, 0])
        least.append((away - share * ink).square().sum((1, 2, 3)))
    best = torch.stack(least).argmin(0)
    return torch.stack(found)[best, torch.arange(len(images))], best


def moments(cover: Tensor, side: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centre (x, y) and area of covers ``[N, R, R]``, each ``[N, 1, 1]``; places are numbers of ``side``."""
    total = cover.sum((1, 2)).clamp(min=1e-6)
    x, y = ((cover.sum(over) * side).sum(1) / total for over in (1, 2))
    share = cover.mean((1, 2)).clamp(min=1e-3)
    return x.view(-1, 1, 1), y.view(-1, 1, 1), share.view(-1, 1, 1)
