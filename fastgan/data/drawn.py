"""Base class of data sets that are drawn from random numbers of each index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fastgan.data.dataset import DataError, ImageDataset, check_channels, check_resolution
from fastgan.data.images import with_channels
from fastgan.data.inputs import Task
from fastgan.data.painting import Layers

_HELD_OUT = 1000
# Pixels drawn in one pass: temporaries of 256 KiB stay in the cache.
_PIXELS = 1 << 16


class DrawnDataset(ImageDataset):
    """Images that depend on ``(seed, i)`` alone and are the same at every resolution.

    Args:
        task: task that the inputs are for; None for images alone.
        resolution: height and width in pixels, ``min_resolution`` to 4096.
        channels: 3, or 1 for the luma of the same images.
        length: number of images, at least 1.
        seed: seed of the images, 0 to 2**64 - 1.
        first: number of the image that is image 0, at least 0.

    Raises:
        DataError: an argument is out of range.
    """

    version: ClassVar[int]
    min_resolution: ClassVar[int] = 16

    def __init__(
        self,
        task: Task | None = None,
        *,
        resolution: int = 64,
        channels: int = 3,
        length: int = 20_000,
        seed: int = 0,
        first: int = 0,
    ) -> None:
        if length < 1:
            raise DataError(f"length must be at least 1, got {length}.")
        if not 0 <= seed < 2**64:
            raise DataError(f"seed must be from 0 to 2**64 - 1, got {seed}.")
        if check_resolution(resolution) < self.min_resolution:
            raise DataError(
                f"`resolution` must be at least {self.min_resolution} for {self.name}, "
                f"got {resolution}."
            )
        self.task = task
        self.resolution = resolution
        self.channels = check_channels(channels)
        self._length = length
        self._seed = seed
        self._first = first
        self.fingerprint = hashlib.sha256(self._identity().encode()).hexdigest()

    def __len__(self) -> int:
        return self._length

    def image(self, i: int) -> Tensor:
        return self.batch(torch.tensor([i]))[0][0]

    def _identity(self) -> str:
        """Return what the images depend on, for the fingerprint."""
        numbers = f"{self.resolution} {self.channels} {len(self)} {self._seed} {self._first}"
        return f"{self.name} v{self.version} {self.task} {numbers}"

    def _held_out_options(self) -> dict[str, Any]:
        return {
            "resolution": self.resolution,
            "channels": self.channels,
            "length": _HELD_OUT,
            "seed": self._seed,
            "first": self._first + len(self),
        }

    def _draws(self, wanted: list[int], count: int, *, stream: int = 0) -> Tensor:
        """Return ``count`` numbers in [0, 1) for each image, float64; streams are independent."""
        # Philox's raw words are fixed by its definition; numpy's distributions may change.
        words = np.zeros((len(wanted), count), dtype=np.uint64)
        for row, i in enumerate(wanted):
            counter = [0, 0, stream, self._first + i]
            words[row] = np.random.Philox(key=self._seed, counter=counter).random_raw(count)
        return torch.from_numpy((words >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    def _in_passes(
        self,
        count: int,
        draw: Callable[[slice], tuple[Layers, Mapping[str, Tensor]]],
        *,
        parts: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Paint images in passes that fit in the cache.

        Args:
            count: number of images, N.
            draw: layers and colours of some of them.
            parts: return the part of every pixel, too.

        Returns:
            uint8 ``[N, C, R, R]``, and uint8 ``[N, R, R]``, empty without ``parts``.
        """
        side = self.resolution
        step = max(1, _PIXELS // side**2)
        images = torch.empty(count, 3, side, side, dtype=torch.uint8)
        maps = torch.empty(count if parts else 0, side, side, dtype=torch.uint8)
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            layers, colours = draw(rows)
            images[rows] = layers.picture(colours)
            if parts:
                maps[rows] = layers.map()
        return with_channels(images, self.channels), maps
