"""Scatter plots of points in the plane."""

from __future__ import annotations

import torch
from torch import Tensor

_SAMPLE, _BEHIND = (31, 119, 180), (200, 200, 200)


def are_points(images: Tensor) -> bool:
    """Return True for images ``[N, 2, 1, 1]``, which are points in the plane."""
    return images.shape[1:] == (2, 1, 1)


def scatter(points: Tensor, *, behind: Tensor | None = None, size: int = 256) -> Tensor:
    """Draw points of [-1, 1]² as blue dots on white, x to the right and y upwards.

    Args:
        points: ``[N, 2, 1, 1]``; coordinates outside are drawn on the border.
        behind: further points, drawn first in grey.
        size: height and width in pixels, at least 3.

    Returns:
        uint8 ``[3, size, size]``.

    Raises:
        ValueError: the points have another shape, or ``size`` is below 3.
    """
    if size < 3:
        raise ValueError(f"size must be at least 3, got {size}")
    picture = torch.full((3, size, size), 255, dtype=torch.uint8)
    for cloud, colour in ((behind, _BEHIND), (points, _SAMPLE)):
        if cloud is not None:
            _draw(picture, cloud, colour)
    return picture


def _draw(picture: Tensor, points: Tensor, colour: tuple[int, int, int]) -> None:
    """Draw dots of 3×3 pixels into a picture."""
    if not are_points(points):
        raise ValueError(f"points must be [N, 2, 1, 1], got {list(points.shape)}")
    last = picture.shape[1] - 1
    places = torch.nan_to_num(points.detach().flatten(1).float().cpu()).clamp(-1, 1)
    columns, rows = ((places * torch.tensor([1.0, -1.0]) + 1) / 2 * last).round().long().unbind(1)
    paint = torch.tensor(colour, dtype=torch.uint8)[:, None]
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            picture[:, (rows + down).clamp(0, last), (columns + right).clamp(0, last)] = paint
