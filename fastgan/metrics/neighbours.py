"""The real images nearest to samples: what a generator has learnt by heart shows there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.data import ImageDataset, image_grid
from fastgan.metrics.checks import check_floating, require_finite


class Neighbours(NamedTuple):
    """The k nearest of each query, the nearest first. distances: float64 ``[Q, k]``. indices: int64 ``[Q, k]``."""

    distances: Tensor
    indices: Tensor


def nearest_neighbours(queries: Tensor, references: Iterable[Tensor], k: int) -> Neighbours:
    """The nearest references of each query, by Euclidean distance in float64.

    Args:
        queries: ``[Q, D]``, any float dtype: features, or pixels.
        references: N in all, in batches ``[n, D]``, since all together may be too large.
        k: how many, from 1 to N.

    Raises:
        TypeError: no floating-point tensors.
        ValueError: wrong shapes, or k out of range; NonFiniteError for infinite or NaN values.
    """
    check_floating("[Q, D]", queries=queries)
    parts = []
    for part in references:
        check_floating("[n, D] in each batch", references=part)
        if queries.ndim != 2 or part.ndim != 2 or queries.shape[1] != part.shape[1]:
            raise ValueError(
                f"queries and batches of references must be [Q, D] and [n, D], got {list(queries.shape)} and "
                f"{list(part.shape)}"
            )
        require_finite("nearest neighbours", queries=queries, references=part)
        parts.append(torch.cdist(queries.double(), part.double()))
    count = sum(distances.shape[1] for distances in parts)
    if not 1 <= k <= count:
        raise ValueError(f"k must be from 1 to {count}, the references, got {k}")
    return Neighbours(*torch.cat(parts, dim=1).topk(k, largest=False))


def neighbour_grid(
    samples: Tensor, dataset: ImageDataset, indices: Tensor, *, scale: int = 1
) -> Tensor:
    """A row for each sample: the sample, then its nearest real images.

    Args:
        samples: uint8 ``[Q, C, H, W]``, of the data set's shape.
        indices: int64 ``[Q, k]``, into the data set.
        scale: enlarges each image by this whole factor.

    Returns:
        uint8 ``[3, height, width]``.
    """
    count, k = indices.shape
    real = dataset.batch(indices.flatten())[0].unflatten(0, (count, k))
    tiles = torch.cat([samples[:, None], real], dim=1).flatten(0, 1)
    return image_grid(tiles.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3), 1 + k)
