"""Order of the images of a run: an endless, seeded sequence with an integer as its position."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch
from torch import Tensor


def batch_indices(length: int, *, seed: int, start: int, count: int) -> Tensor:
    """Return ``count`` entries of an endless sequence of shuffled passes over a data set.

    Epoch ``e = position // length`` is a permutation of ``0 .. length - 1`` drawn from
    ``(seed, e)`` alone. So the same arguments always give the same indices, and the number of
    images that a run has used is its position in the data.

    Args:
        length: number of images in the data set, at least 1.
        seed: any integer.
        start: position of the first entry, at least 0.
        count: number of entries; may span several epochs.

    Returns:
        int64 ``[count]``, each in ``0 .. length - 1``.

    Raises:
        ValueError: ``length < 1``, ``start < 0`` or ``count < 0``.
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    if start < 0:
        raise ValueError(f"start must be at least 0, got {start}")
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    out = torch.empty(count, dtype=torch.int64)
    done = 0
    while done < count:
        epoch, offset = divmod(start + done, length)
        take = min(length - offset, count - done)
        out[done : done + take] = _permutation(length, seed, epoch)[offset : offset + take]
        done += take
    return out


# Two epochs meet in one batch, and a second reader (a rank, a metric) may trail by one epoch.
@lru_cache(maxsize=4)
def _permutation(length: int, seed: int, epoch: int) -> Tensor:
    digest = hashlib.sha256(f"{seed}/{epoch}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return torch.randperm(length, generator=generator)
