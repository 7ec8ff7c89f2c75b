"""Batches prepared ahead: the content of a loader without threads, and no thread left behind."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from fastgan.data import (
    BatchLoader,
    DataError,
    ImageDataset,
    InMemoryDataset,
    InputSpec,
    batch_indices,
    save_png,
    to_batch,
    to_float,
)
from fastgan.data.folder import FolderDataset
from fastgan.data.loader import AHEAD

LONG = 60.0
"""Timeout in seconds."""


class Slow(ImageDataset):
    """Data set whose image i is filled with i after a delay; image `broken` raises."""

    name, resolution, channels, fingerprint = "slow", 4, 1, "0" * 64

    def __init__(self, *, seconds: float = 0.0, broken: int = -1) -> None:
        self._seconds, self._broken = seconds, broken
        self.asked: list[int] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return 50

    def image(self, i: int) -> torch.Tensor:
        self.asked.append(i)
        self.threads.add(threading.current_thread().name)
        time.sleep(self._seconds)
        if i == self._broken:
            raise DataError(f"Image {i} is gone.")
        return torch.full((1, 4, 4), i, dtype=torch.uint8)

    def label(self, i: int) -> int:
        return i


def loader(dataset: ImageDataset, **options: Any) -> BatchLoader:
    return BatchLoader(dataset, **{"seed": 3, "start": 0, "batch": 8} | options)


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastgan-data")]


@pytest.mark.parametrize("workers", [0, 1, 3, 20])
def test_content_and_order_are_those_of_the_sequence(workers: int) -> None:
    # Across the end of an epoch.
    indices = batch_indices(50, seed=3, start=37, count=10 * 8)
    with loader(Slow(), start=37, workers=workers) as batches:
        for expected in indices.split(8):
            images, labels, inputs = next(batches)
            assert torch.equal(labels, expected) and inputs == {}
            assert images.shape == (8, 1, 4, 4) and images.is_contiguous()
            assert torch.equal(images[:, 0, 0, 0], to_float(expected.to(torch.uint8)))
    assert ours() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_share_each_batch_in_order(workers: int) -> None:
    with loader(Slow(), batch=12, workers=0) as whole:
        expected = [next(whole) for _ in range(5)]
    for rank in range(3):
        with loader(Slow(), batch=12, rank=rank, size=3, workers=workers) as part:
            for images, labels, _ in expected:
                mine = slice(4 * rank, 4 * rank + 4)
                got = next(part)
                assert torch.equal(got[0], images[mine]) and torch.equal(got[1], labels[mine])
    for sizes in ({"size": 3}, {"batch": 0}, {"size": 0}):
        with pytest.raises(ValueError, match="multiple of size, both at least 1, got "):
            loader(Slow(), **sizes)


class Translated(Slow):
    """`Slow` with an input of every kind, whose values follow from i."""

    channels = 3
    inputs = {  # noqa: RUF012
        "input": InputSpec("image", channels=2),
        "map": InputSpec("map", names=tuple("abcd")),
        "attributes": InputSpec("attributes", names=tuple("abc")),
        "caption": InputSpec("caption", names=("", "a"), length=5),
    }

    def image(self, i: int) -> torch.Tensor:
        return self.batch_inputs(torch.tensor([i]))["map"].expand(3, 4, 4)

    def batch_inputs(self, indices: torch.Tensor) -> dict[str, torch.Tensor]:
        rows = indices.to(torch.uint8)
        columns = torch.arange(4, dtype=torch.uint8).expand(len(rows), 4, 4)
        return {
            "input": (columns + rows.view(-1, 1, 1)).unsqueeze(1).expand(-1, 2, 4, 4),
            "map": columns,
            "attributes": torch.stack([rows % 2, rows // 2 % 2, rows // 4 % 2], dim=1),
            "caption": indices.view(-1, 1).expand(-1, 5),
        }


@pytest.mark.parametrize("workers", [0, 3])
def test_inputs_belong_to_their_images_and_are_mirrored_with_them(workers: int) -> None:
    data, seen = Translated(), 0
    with loader(data, workers=workers, mirror=True) as batches:
        for expected in batch_indices(100, seed=3, start=0, count=100).split(8)[:12]:
            images, labels, inputs = next(batches)
            stored = data.batch_inputs(expected % 50)
            turned = expected >= 50
            seen += int(turned.sum())
            assert torch.equal(labels, expected % 50)
            assert {name: value.dtype for name, value in inputs.items()} == {
                "input": torch.float32,
                "map": torch.int64,
                "attributes": torch.float32,
                "caption": torch.int64,
            }
            for name, value in to_batch(stored, data.inputs).items():
                if name in ("input", "map"):
                    value[turned] = value[turned].flip(-1)
                assert torch.equal(inputs[name], value)
            assert torch.equal(images[:, 0], to_float(inputs["map"].to(torch.uint8)))
    assert 30 < seen < 66


def test_a_folder_is_decoded_equally_by_any_number_of_threads(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for i in range(20):
        picture = torch.randint(0, 256, (3, 9, 11), generator=generator, dtype=torch.uint8)
        save_png(tmp_path / str(i % 2) / f"{i}.png", picture)
    small, large = (
        FolderDataset(tmp_path, resolution=8),
        FolderDataset(tmp_path, resolution=8, cache_limit=0),
    )
    assert small.in_memory and not large.in_memory
    with loader(small, batch=7) as a, loader(large, batch=7, workers=4) as b:
        for _ in range(6):
            for one, other in zip(next(a)[:2], next(b)[:2]):
                assert torch.equal(one, other)


class Meeting(Slow):
    """Data set that blocks each thread's first image until `count` threads ask for one."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._together = threading.Barrier(count)

    def image(self, i: int) -> torch.Tensor:
        if threading.current_thread().name not in self.threads:
            self._together.wait(timeout=LONG)
        return super().image(i)


def test_all_threads_read_at_the_same_time() -> None:
    data = Meeting(4)
    with loader(data, workers=4) as batches:
        for _ in range(3):
            assert len(next(batches)[0]) == 8
    assert len(data.threads) == 4


def test_batches_are_read_ahead_up_to_the_limit() -> None:
    data = Slow()
    with loader(data, workers=2) as batches:
        next(batches)
        deadline = time.monotonic() + LONG
        while len(data.asked) < AHEAD * 8 and time.monotonic() < deadline:
            time.sleep(0.001)
        # Time for excess requests, if there are any.
        time.sleep(0.05)
        assert len(data.asked) == AHEAD * 8


def test_waited_is_the_time_until_a_batch_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock advances by a second for every image."""
    data = Slow()
    monkeypatch.setattr("fastgan.data.loader.time.perf_counter", lambda: float(len(data.asked)))
    with loader(data, workers=0) as batches:
        for count in range(1, 4):
            next(batches)
            assert batches.waited == 8 * count


def test_only_a_set_on_disk_gets_threads_by_default() -> None:
    data = Slow()
    with loader(data) as batches:
        next(batches)
    assert all(name.startswith("fastgan-data") for name in data.threads)
    kept = InMemoryDataset(
        "kept", torch.zeros(9, 1, 4, 4, dtype=torch.uint8), torch.zeros(9, dtype=torch.int64)
    )
    with loader(kept) as batches:
        next(batches)
        assert ours() == []


@pytest.mark.parametrize("workers", [0, 3])
def test_an_error_is_raised_for_the_batch_that_needs_the_image(workers: int) -> None:
    # In the third batch.
    broken = int(batch_indices(50, seed=3, start=21, count=1))
    with loader(Slow(broken=broken), workers=workers) as batches:
        assert len(next(batches)[0]) == len(next(batches)[0]) == 8
        with pytest.raises(DataError, match=rf"^Image {broken} is gone\.$"):
            next(batches)
    assert ours() == []


def test_no_thread_is_left_after_an_exception() -> None:
    with pytest.raises(KeyError), loader(Slow(seconds=0.001), workers=3) as batches:
        next(batches)
        assert ours()
        raise KeyError
    assert ours() == []
