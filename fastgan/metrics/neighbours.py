"""Real images nearest to samples, which reveal memorised images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.data import ImageDataset, image_grid
from fastgan.metrics.checks import check_floating, require_finite


class Neighbours(NamedTuple):
    """The k nearest references of each query, nearest first."""

    distances: Tensor
    """float64 ``[Q, k]``."""
    indices: Tensor
    """int64 ``[Q, k]``, indices of the references."""


def nearest_neighbours(queries: Tensor, references: Iterable[Tensor], k: int) -> Neighbours:
    """Find the nearest references of each query by Euclidean distance in float64.

    Args:
        queries: features or pixels ``[Q, D]``, of any float dtype.
        references: N references in batches ``[n, D]``, since all together may be too large.
        k: number of neighbours, 1 to N.

    Raises:
        TypeError: an argument isn't a floating-point tensor.
        ValueError: the shapes don't fit, or ``k`` is out of range.
        NonFiniteError: a value is infinite or NaN.
    """
    check_floating("[Q, D]", queries=queries)
    parts = []
    for part in references:
        check_floating("[n, D] in each batch", references=part)
        if queries.ndim != 2 or part.ndim != 2 or queries.shape[1] != part.shape[1]:
            raise ValueError(
                f"queries and batches of references must be [Q, D] and [n, D], "
                f"got {list(queries.shape)} and {list(part.shape)}"
            )
        require_finite("nearest neighbours", queries=queries, references=part)
        parts.append(torch.cdist(queries.double(), part.double()))
    count = sum(distances.shape[1] for distances in parts)
    if not 1 <= k <= count:
        raise ValueError(f"k must be from 1 to the number of references, {count}, got {k}")
    return Neighbours(*torch.cat(parts, dim=1).topk(k, largest=False))


def neighbour_grid(
    samples: Tensor, dataset: ImageDataset, indices: Tensor, *, scale: int = 1
) -> Tensor:
    """Lay out a row for each sample: the sample, then its nearest real images.

    Args:
        samples: uint8 ``[Q, C, H, W]``, of the data set's shape.
        dataset: the real images.
        indices: int64 ``[Q, k]``, indices of the data set.
        scale: whole factor by which images are enlarged.

    Returns:
        uint8 ``[3, height, width]``.
    """
    count, k = indices.shape
    real = dataset.batch(indices.flatten())[0].unflatten(0, (count, k))
    tiles = torch.cat([samples[:, None], real], dim=1).flatten(0, 1)
    return image_grid(tiles.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3), 1 + k)
