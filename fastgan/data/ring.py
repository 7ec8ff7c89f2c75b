"""Ring of eight Gaussians in the plane (Metz et al. 2017), for counting modes."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from fastgan.data.dataset import DataError, ImageDataset

# Part of the fingerprint: raise it whenever the same index would be another point.
_VERSION = 1
# Bits whose sum is a coordinate's noise: binomial, with a variance of a quarter of their number.
_BITS = 63

RING_NAMES = (
    "east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east",
)  # fmt: skip
"""Names of the classes: the modes by their direction."""
_UNIT = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
RING_MEANS = (
    torch.tensor([[96 if 0 in unit else 68] for unit in _UNIT]) * torch.tensor(_UNIT) / 127.5
)
"""Means of the modes, float32 ``[8, 2]``, at a distance of 0.75 from the origin."""
RING_STD = (_BITS / 4) ** 0.5 / 127.5
"""Standard deviation of each coordinate about a mode's mean: 0.031."""


class Ring(ImageDataset):
    """Points of eight Gaussians on a circle, as images of 1×1 with two channels, x and y.

    Point ``i`` is drawn from ``(seed, i)`` alone; its class is its mode. Coordinates have the 256
    levels of stored images. Noise is the number of ones among 63 random bits, which is a Gaussian
    to within a percent and the same on every machine.

    Args:
        length: number of points, at least 1.
        seed: seed of the points, 0 to 2**64 - 1.

    Raises:
        DataError: an argument is out of range.
    """

    def __init__(self, *, length: int = 64_000, seed: int = 0) -> None:
        if length < 1:
            raise DataError(f"length must be at least 1, got {length}.")
        if not 0 <= seed < 2**64:
            raise DataError(f"seed must be from 0 to 2**64 - 1, got {seed}.")
        self.name = "ring"
        self.resolution = 1
        self.channels = 2
        self.class_names = RING_NAMES
        self.num_classes = len(RING_NAMES)
        # Philox's raw words are fixed by its definition; numpy's distributions may change.
        words = np.random.Philox(key=seed).random_raw(3 * length).reshape(length, 3)
        self._labels = torch.from_numpy((words[:, 0] % len(RING_NAMES)).astype(np.int64))
        noise = (words[:, 1:, None] >> np.arange(_BITS, dtype=np.uint64) & 1).sum(-1)
        levels = (RING_MEANS[self._labels] + 1) * 127.5 + torch.from_numpy(noise) - _BITS / 2
        self._points = levels.round().to(torch.uint8)[:, :, None, None]
        identity = f"ring v{_VERSION} {length} {seed}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    @property
    def in_memory(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self._points)

    def label(self, i: int) -> int:
        self._check_index(i)
        return int(self._labels[i])

    def image(self, i: int) -> Tensor:
        self._check_index(i)
        return self._points[i].clone()

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        self._checked(indices)
        return self._points[indices], self._labels[indices]


def ring_modes(points: Tensor) -> Tensor:
    """Return the mode of each point within three standard deviations of a mean, -1 for others.

    This is the criterion of Srivastava et al. 2017 for samples of high quality.

    Args:
        points: ``[N, 2, 1, 1]``.

    Returns:
        int64 ``[N]``.
    """
    distances = torch.cdist(points.flatten(1).double().cpu(), RING_MEANS.double())
    nearest = distances.min(dim=1)
    return nearest.indices.where(nearest.values <= 3 * RING_STD, -1)
