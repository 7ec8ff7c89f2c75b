"""Loader that reads and decodes the coming batches in threads while a step computes."""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.data.dataset import ImageDataset
from fastgan.data.images import to_batch, to_float
from fastgan.data.sampler import batch_indices

AHEAD = 3
"""Largest number of batches in preparation, which bounds the memory."""
MAX_WORKERS = 8
"""Largest number of threads by default."""


class LoadedBatch(NamedTuple):
    """One batch on the device.

    Attributes:
        images: float32 ``[n, C, R, R]`` in [-1, 1].
        labels: int64 ``[n]``.
        inputs: inputs by name, in the batch form of ``InputSpec``.
    """

    images: Tensor
    labels: Tensor
    inputs: dict[str, Tensor]


class _Coming(NamedTuple):
    stored: LoadedBatch
    parts: list[Future[None]]


class BatchLoader:
    """Endless iterator over the batches of a run; ``next(loader)`` returns a ``LoadedBatch``.

    The content follows from the data and ``(seed, start)`` alone (see ``batch_indices``), for any
    number of threads. Use it as a context manager: the end of the block stops the threads. An
    error in a thread is raised by the ``next`` that needs the batch.

    Args:
        dataset: the data set. With ``workers`` above 1 several threads call its ``examples``.
        seed: seed of the order of the images.
        start: position of the first batch in the endless sequence, in images.
        batch: images per batch, of all ranks together.
        device: device of the batches. For CUDA memory is pinned, and copies don't block.
        rank: index of this process, which takes the ``rank``-th part of every batch.
        size: number of processes, which share every batch equally.
        workers: number of threads. 0 prepares a batch on demand in the calling thread. None means
            one per core (at most 8), but 0 for a set in memory, where a thread costs more than it
            hides.
        mirror: double the data set by mirrored images, left for right, with mirrored inputs where
            those are images or maps.

    Attributes:
        waited: total seconds that ``next`` spent waiting for batches.

    Raises:
        ValueError: ``batch`` isn't a multiple of ``size``, or one of them is below 1.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        *,
        seed: int,
        start: int,
        batch: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        size: int = 1,
        workers: int | None = None,
        mirror: bool = False,
    ) -> None:
        if min(batch, size) < 1 or batch % size:
            raise ValueError(
                f"batch must be a multiple of size, both at least 1, got {batch} and {size}"
            )
        if workers is None:
            workers = 0 if dataset.in_memory else min(MAX_WORKERS, os.cpu_count() or 1)
        self.waited = 0.0
        self._dataset, self._seed, self._position, self._batch = dataset, seed, start, batch
        self._rank, self._local = rank, batch // size
        self._length = len(dataset) * (2 if mirror else 1)
        self._device = torch.device(device)
        self._pin = self._device.type == "cuda"
        self._workers = workers
        self._pool = (
            ThreadPoolExecutor(workers, thread_name_prefix="fastgan-data") if workers else None
        )
        self._coming: deque[_Coming] = deque()

    def __enter__(self) -> BatchLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> BatchLoader:
        return self

    def __next__(self) -> LoadedBatch:
        began = time.perf_counter()
        images, labels, inputs = self._read() if self._pool is None else self._finished(self._pool)
        self.waited += time.perf_counter() - began
        return LoadedBatch(
            to_float(self._moved(images)),
            self._moved(labels),
            to_batch(
                {name: self._moved(value) for name, value in inputs.items()}, self._dataset.inputs
            ),
        )

    def _moved(self, stored: Tensor) -> Tensor:
        return stored.to(self._device, non_blocking=self._pin)

    def _read(self) -> LoadedBatch:
        images, labels, inputs = self._examples(self._next_indices())
        if not self._pin:
            return LoadedBatch(images, labels, inputs)
        pinned = {name: value.pin_memory() for name, value in inputs.items()}
        return LoadedBatch(images.pin_memory(), labels.pin_memory(), pinned)

    def _finished(self, pool: ThreadPoolExecutor) -> LoadedBatch:
        while len(self._coming) < AHEAD:
            self._coming.append(self._begin(pool))
        stored, parts = self._coming.popleft()
        for part in parts:
            part.result()
        return stored

    def _begin(self, pool: ThreadPoolExecutor) -> _Coming:
        """Start to prepare a batch; all threads work on the same batch, each on a part of it."""
        indices = self._next_indices()
        dataset, resolution = self._dataset, self._dataset.resolution

        def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
            return torch.empty((self._local, *shape), dtype=dtype, pin_memory=self._pin)

        images = empty((dataset.channels, resolution, resolution), torch.uint8)
        labels = empty((), torch.int64)
        inputs = {
            name: empty(spec.shape(resolution), spec.dtype) for name, spec in dataset.inputs.items()
        }

        def fill(rows: slice) -> None:
            images[rows], labels[rows], values = self._examples(indices[rows])
            for name, value in values.items():
                inputs[name][rows] = value

        step = -(-self._local // self._workers)
        parts = [slice(first, first + step) for first in range(0, self._local, step)]
        return _Coming(
            LoadedBatch(images, labels, inputs), [pool.submit(fill, rows) for rows in parts]
        )

    def _examples(self, indices: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Read images; indices in the second half of a mirrored set select mirrored images."""
        length = len(self._dataset)
        images, labels, inputs = self._dataset.examples(indices % length)
        if self._length > length:
            turned = indices >= length
            images = _mirrored(images, turned)
            for name, spec in self._dataset.inputs.items():
                if spec.mirrors:
                    inputs[name] = _mirrored(inputs[name], turned)
        return images, labels, inputs

    def _next_indices(self) -> Tensor:
        start = self._position + self._rank * self._local
        self._position += self._batch
        return batch_indices(self._length, seed=self._seed, start=start, count=self._local)


def _mirrored(images: Tensor, which: Tensor) -> Tensor:
    return torch.where(which.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images)
