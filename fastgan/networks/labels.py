"""How networks without styles are told of classes: by a learned vector beside their input (Mirza and Osindero 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def label_embedding(c_dim: int, features: int) -> nn.Embedding | None:
    """A vector of so many features for each of `c_dim` classes; None for 0 classes."""
    return nn.Embedding(c_dim, features) if c_dim else None


def join_labels(x: Tensor, labels: Tensor | None, embedding: nn.Embedding | None) -> Tensor:
    """x with the embedding of its labels as further channels.

    Args:
        x: `[N, C]`, or `[N, C, H, W]` for an embedding of a multiple of H·W features, which become planes.
        labels: classes int64 `[N]`; None for a network without.
        embedding: None returns x as it is.

    Raises:
        ValueError: labels are missing, or come to a network without classes.
    """
    if embedding is None:
        if labels is not None:
            raise ValueError(
                f"labels {list(labels.shape)} were given to a network without classes; leave them out"
            )
        return x
    if labels is None:
        raise ValueError(
            f"this network was made for {embedding.num_embeddings} classes, but no labels came; pass int64 [N] behind z "
            "or the images"
        )
    vectors = embedding(labels).to(x.dtype)
    return torch.cat([x, vectors.view(x.shape[0], -1, *x.shape[2:])], 1)
