"""Class labels of networks: checks, one-hot rows, and embeddings joined to the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.checks import check_indices


def no_labels(labels: Tensor | None) -> None:
    """Raise ValueError for labels passed to a network without; rows of length 0 are none."""
    if labels is not None and labels.numel():
        raise ValueError(
            "labels must be None for a network without classes, "
            f"got {list(labels.shape)}; leave them out"
        )


def check_classes(labels: Tensor | None, c_dim: int, count: int) -> None:
    """Check labels of a network that takes class indices.

    Args:
        labels: class indices int64 ``[count]``; None where ``c_dim`` is 0.
        c_dim: number of classes, 0 for none.
        count: number of samples.

    Raises:
        ValueError: labels are missing, not wanted, out of range, or of another shape or dtype.
    """
    if not c_dim:
        no_labels(labels)
        return
    expected = f"labels must be class indices int64 [{count}] from 0 to {c_dim - 1}"
    if labels is None:
        raise ValueError(f"{expected}, got none; this network needs them")
    if labels.is_floating_point() or labels.shape != (count,):
        raise ValueError(f"{expected}, got {labels.dtype} {list(labels.shape)}")
    check_indices(labels, c_dim, expected)


def label_rows(labels: Tensor | None, c_dim: int, count: int | None = None) -> Tensor:
    """Return labels as rows ``[N, c_dim]``; class indices int64 ``[N]`` become one-hot rows.

    Raises:
        ValueError: labels are missing, out of range or of another shape, or not ``count`` of them.
    """
    rows = "" if count is None else f" with N = {count}"
    expected = (
        f"labels must be class indices int64 [N] from 0 to {c_dim - 1} or rows [N, {c_dim}]{rows}"
    )
    if labels is None:
        raise ValueError(f"{expected}, got none; this network needs them")
    if labels.ndim == 1 and not labels.is_floating_point():
        check_indices(labels, c_dim, expected)
        labels = F.one_hot(labels.long(), c_dim)
    if (
        labels.ndim != 2
        or labels.shape[1] != c_dim
        or (count is not None and labels.shape[0] != count)
    ):
        raise ValueError(f"{expected}, got {list(labels.shape)}")
    return labels


def label_embedding(c_dim: int, features: int) -> nn.Embedding | None:
    """Return a table with ``features`` numbers per class; None for 0 classes."""
    return nn.Embedding(c_dim, features) if c_dim else None


def join_labels(x: Tensor, labels: Tensor | None, embedding: nn.Embedding | None) -> Tensor:
    """Append the embedding of labels to x as further channels (Mirza and Osindero 2014).

    Args:
        x: ``[N, C]``, or ``[N, C, H, W]`` with an embedding whose length is a multiple of H·W; its
            rows become planes.
        labels: class indices int64 ``[N]``; None for a network without classes.
        embedding: that of :func:`label_embedding`; None returns x.

    Raises:
        ValueError: labels are missing, not wanted, or of another shape or dtype.
    """
    check_classes(labels, 0 if embedding is None else embedding.num_embeddings, x.shape[0])
    if embedding is None:
        return x
    vectors = embedding(labels).to(x.dtype)
    return torch.cat([x, vectors.view(x.shape[0], -1, *x.shape[2:])], 1)
