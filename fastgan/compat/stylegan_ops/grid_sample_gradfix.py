"""Their ``grid_sample_gradfix``: ``grid_sample`` with a second derivative, which torch's has not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["grid_sample"]

enabled = True  #: False: torch's own, which is differentiable once


def grid_sample(input: Tensor, grid: Tensor) -> Tensor:
    """Bilinear sampling with zeros beyond the image, ``align_corners=False``; differentiable to any order in both.

    With ``x = ((g_x + 1)·W - 1)/2`` and its whole part ``x0``, a sample is the sum of the pixels at ``x0`` and ``x0 + 1``,
    times ``x0 + 1 - x`` and ``x - x0``, in both axes; in plain PyTorch, so that every order of derivative follows.

    Args:
        input: ``[N, C, H, W]``.
        grid: ``[N, H_out, W_out, 2]``, x and y from -1 to 1, of the dtype of ``input``.

    Returns:
        ``[N, C, H_out, W_out]``.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: the dtypes differ.
    """
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != input.shape[0]:
        raise ValueError(
            f"input must have shape [N, C, H, W] and grid [N, H_out, W_out, 2], got {list(input.shape)} and "
            f"{list(grid.shape)}"
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
    if places.dtype in (torch.float16, torch.bfloat16):  # too coarse for places in an image
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
    """The two pixels around a place along one axis: index and weight, which is 0 beyond the image."""
    x = ((place + 1) * size - 1) / 2
    first = x.detach().floor()
    found = []
    for index, weight in ((first, first + 1 - x), (first + 1, x - first)):
        inside = (index >= 0) & (index < size)
        found.append((torch.where(inside, index, 0).long(), torch.where(inside, weight, 0)))
    return found
