"""Images of two domains, one folder for each."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from fastgan.data.dataset import ImageDataset
from fastgan.data.decode import DEFAULT
from fastgan.data.folder import CACHE_LIMIT, FolderDataset
from fastgan.data.inputs import InputSpec
from fastgan.data.reading import Reading


class DomainFolders(ImageDataset):
    """Images of one folder, each with an unrelated image of a second folder.

    The set has as many images as the larger folder. The images of the second folder are shuffled.
    Those of the smaller folder repeat, in another order each time.

    Args:
        roots: the two folders.
        resolution: as for ``FolderDataset``; None means that of the first folder.
        channels: as for ``FolderDataset``; None means colour if one folder has it.
        cache_limit: as for ``FolderDataset``, for each folder.
        reading: as for ``FolderDataset``; ``input_levels`` are those of the second folder.
        held_out: two folders of held-out images, if there are any.

    Raises:
        DataError: as ``FolderDataset``.
    """

    def __init__(
        self,
        roots: tuple[Path, Path],
        *,
        resolution: int | None = None,
        channels: int | None = None,
        cache_limit: int = CACHE_LIMIT,
        reading: Reading = DEFAULT,
        held_out: tuple[Path, Path] | None = None,
    ) -> None:
        def opened(part: int, resolution: int | None, channels: int | None) -> FolderDataset:
            return FolderDataset(
                roots[part],
                resolution=resolution,
                channels=channels,
                cache_limit=cache_limit,
                reading=replace(reading, levels=reading.input_levels) if part else reading,
            )

        first = opened(0, resolution, channels)
        second = opened(1, first.resolution, channels)
        if first.channels < second.channels:
            first = opened(0, first.resolution, second.channels)
        elif second.channels < first.channels:
            second = opened(1, first.resolution, first.channels)
        self._first, self._second, self._held_out, self._cache_limit = (
            first,
            second,
            held_out,
            cache_limit,
        )
        self.levels = first.levels
        self._reading = replace(reading, levels=first.levels, input_levels=second.levels)
        self._folders = tuple(root.name for root in roots)
        self.name, self.resolution, self.channels = first.name, first.resolution, first.channels
        self.inputs = {"other": InputSpec("image", channels=self.channels, levels=second.levels)}
        length = max(len(first), len(second))
        self._places = (
            torch.arange(length) if len(first) == length else _repeated(len(first), length, seed=0)
        )
        self._others = _repeated(len(second), length, seed=1)
        identity = f"domains {first.fingerprint} {second.fingerprint}"
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    @property
    def skipped(self) -> tuple[str, ...]:
        return self._first.skipped + self._second.skipped

    @property
    def notes(self) -> tuple[str, ...]:
        sides = zip(self._folders, (self._first, self._second))
        return tuple(f"{folder}: {note}" for folder, side in sides for note in side.notes)

    @property
    def in_memory(self) -> bool:
        return self._first.in_memory and self._second.in_memory

    def __len__(self) -> int:
        return len(self._places)

    def image(self, i: int) -> Tensor:
        self._check_index(i)
        return self._first.image(int(self._places[i]))

    def label(self, i: int) -> int:
        self._check_index(i)
        return 0

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        self._checked(indices)
        return self._first.batch(self._places[indices])[0], torch.zeros_like(indices)

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        self._checked(indices)
        return {"other": self._second.batch(self._others[indices])[0]}

    def held_out(self) -> DomainFolders | None:
        if self._held_out is None:
            return None
        return DomainFolders(
            self._held_out,
            resolution=self.resolution,
            channels=self.channels,
            cache_limit=self._cache_limit,
            reading=self._reading,
        )


def _repeated(count: int, length: int, *, seed: int) -> Tensor:
    """Return ``length`` indices below ``count``, one permutation after another, int64."""
    generator = torch.Generator().manual_seed(seed)
    passes = [torch.randperm(count, generator=generator) for _ in range(-(-length // count))]
    return torch.cat(passes)[:length]
