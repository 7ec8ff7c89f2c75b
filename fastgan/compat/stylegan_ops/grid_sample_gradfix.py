"""The official module ``grid_sample_gradfix``: sampling with the second derivative torch lacks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["grid_sample"]

enabled = True
"""False selects torch's ``grid_sample``, which is differentiable once."""


def grid_sample(input: Tensor, grid: Tensor) -> Tensor:
    """Sample bilinearly with zeros beyond the image and ``align_corners=False``.

    It is differentiable to any order in both arguments. Let ``x = ((g_x + 1) * W - 1) / 2`` and
    ``x0 = floor(x)``. The weight of the pixel at ``x0`` is ``x0 + 1 - x``. The weight of its
    neighbour at ``x0 + 1`` is ``x - x0``. The same holds along y.

    Args:
        input: ``[N, C, H, W]``, floating-point.
        grid: ``[N, H_out, W_out, 2]``, x and y from -1 to 1, of the dtype of ``input``.

    Returns:
        ``[N, C, H_out, W_out]``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes differ.
    """
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != input.shape[0]:
        raise ValueError(
            f"input must have shape [N, C, H, W] and grid [N, H_out, W_out, 2], "
            f"got {list(input.shape)} and {list(grid.shape)}"
        )
    if input.dtype != grid.dtype:
        raise TypeError(f"grid must have the dtype of input, {input.dtype}, got {grid.dtype}")
    if 0 in input.shape[2:]:
        raise ValueError(f"input must have at least one pixel, got shape {list(input.shape)}")
    if not enabled:
        return F.grid_sample(
            input, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
    n, c, height, width = input.shape
    places = grid.flatten(1, 2)
    # Half types are too coarse for positions in an image.
    if places.dtype in (torch.float16, torch.bfloat16):
        places = places.float()
    columns = _neighbours(places[..., 0], width)
    rows = _neighbours(places[..., 1], height)
    pixels = input.flatten(2)
    result = torch.zeros((), dtype=places.dtype, device=input.device)
    for row, row_weight in rows:
        for column, column_weight in columns:
            at = (row * width + column)[:, None].expand(n, c, -1)
            result = result + pixels.gather(2, at) * (row_weight * column_weight)[:, None]
    return result.to(input.dtype).reshape(n, c, *grid.shape[1:3])


def _neighbours(place: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """Return index and weight of the two pixels around a position along one axis.

    The weight is 0 beyond the image.
    """
    x = ((place + 1) * size - 1) / 2
    first = x.detach().floor()
    neighbours = []
    for index, weight in ((first, first + 1 - x), (first + 1, x - first)):
        inside = (index >= 0) & (index < size)
        neighbours.append((torch.where(inside, index, 0).long(), torch.where(inside, weight, 0)))
    return neighbours
