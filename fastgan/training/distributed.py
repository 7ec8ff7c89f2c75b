"""Processes of a run: one, or several that torchrun started, and their communication.

Every rank holds all networks and takes a contiguous part of each global batch. Gradients are
averaged once an update's gradients are complete, not by hooks inside the backward pass. So
penalties may differentiate twice, micro-batches add up, and networks need no wrapper. Rank 0 alone
writes files.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from fastgan._torch_private import copy_all_
from fastgan.errors import FastganError
from fastgan.training.config import ConfigError
from fastgan.training.reading import Reading

T = TypeVar("T")

BUCKET = 2**23
"""Elements in one message: large enough for the bandwidth, small beside the networks."""
IN_FLIGHT = 2
"""Messages on their way at once, each of which takes a bucket's memory."""
TIMEOUT = datetime.timedelta(minutes=10)
"""Longest wait for another rank; rank 0 may draw, measure and write meanwhile."""


class RankLost(FastganError):
    """Another process of the run can't be reached any more."""


class RanksDiffer(FastganError):
    """The processes of a run no longer hold the same weights."""


@dataclass(frozen=True)
class World:
    """One process among those of a run. With size 1 nothing is ever sent.

    Attributes:
        device: device of this rank's networks.
        rank: number of this process, 0 to size - 1.
        size: number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """True for the process that writes files and prints."""
        return self.rank == 0

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks, in place; all ranks get the same bits.

        Args:
            tensors: on every rank tensors of the same shapes and dtypes in the same order.

        Raises:
            RankLost: another process can't be reached.
        """
        if self.size == 1:
            return
        # One bucket is packed and unpacked while another is on its way.
        waiting: list[tuple[list[Tensor], Tensor, Any]] = []
        for bucket in _buckets(tensors):
            flat = torch.cat([t.reshape(-1) for t in bucket])
            with self.conversation():
                waiting.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
            if len(waiting) == IN_FLIGHT:
                self._receive(*waiting.pop(0))
        for sent in waiting:
            self._receive(*sent)

    def _receive(self, bucket: list[Tensor], flat: Tensor, work: Any) -> None:
        """Write the mean of a bucket into its tensors, once the message is through."""
        with self.conversation():
            work.wait()
        flat /= self.size
        parts = flat.split([t.numel() for t in bucket])
        copy_all_(bucket, [part.view_as(t) for part, t in zip(parts, bucket)])

    def any(self, flag: bool) -> bool:
        """Return True on all ranks if ``flag`` is True on one of them.

        Raises:
            RankLost: another process can't be reached.
        """
        if self.size == 1:
            return flag
        result = torch.tensor(float(flag), device=self.device)
        with self.conversation():
            dist.all_reduce(result, op=dist.ReduceOp.MAX)
        return bool(result)

    def ask_any(self, flag: bool) -> Callable[[], bool]:
        """Begin to ask whether ``flag`` is True on one of the ranks; nothing waits for the answer.

        Returns:
            A function that returns the answer, the same on all ranks, once it is needed.

        Raises:
            RankLost: another process can't be reached; the returned function raises it too.
        """
        if self.size == 1:
            return lambda: flag
        asked = torch.full((1,), float(flag), device=self.device)
        with self.conversation():
            work = dist.all_reduce(asked, op=dist.ReduceOp.MAX, async_op=True)
        if self.device.type == "cuda":
            # The device waits, not the host.
            work.wait()
            reading = Reading(asked)
            return lambda: bool(reading.numbers()[0])

        def answer() -> bool:
            with self.conversation():
                work.wait()
            return bool(asked)

        return answer

    def mean(self, row: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of each number over the ranks.

        Args:
            row: numbers by name, the same names on all ranks.

        Raises:
            RankLost: another process can't be reached.
        """
        if self.size == 1 or not row:
            return dict(row)
        values = torch.tensor(list(row.values()), dtype=torch.float64, device=self.device)
        with self.conversation():
            dist.all_reduce(values)
        return dict(zip(row, (values / self.size).tolist()))

    def broadcast(self, value: T) -> T:
        """Return rank 0's ``value``.

        Args:
            value: plain data and CPU tensors.

        Raises:
            RankLost: another process can't be reached.
        """
        if self.size == 1:
            return value
        box = [value]
        with self.conversation():
            dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def barrier(self) -> None:
        """Wait for every rank.

        Raises:
            RankLost: another process can't be reached.
        """
        self.any(False)

    def same(self, tensors: Sequence[Tensor]) -> bool:
        """Return True on all ranks if all of them hold the same bits.

        Raises:
            RankLost: another process can't be reached.
        """
        if self.size == 1:
            return True
        # A difference of one bit anywhere changes these weighted sums of the raw bytes.
        sums = (
            torch.stack([_fingerprint(t) for t in tensors])
            if tensors
            else torch.zeros(1, dtype=torch.int64)
        )
        theirs = self.broadcast(sums.cpu())
        return not self.any(not torch.equal(sums.cpu(), theirs))

    @contextlib.contextmanager
    def conversation(self, *, among_other_work: bool = False) -> Iterator[None]:
        """Turn errors of communication inside the block into RankLost.

        Args:
            among_other_work: the block computes as well; errors that aren't of communication stay.
        """
        try:
            yield
        except RuntimeError as error:
            if among_other_work and not (isinstance(error, dist.DistError) or "gloo" in str(error)):
                raise
            reason = str(error).splitlines()[0]
            raise RankLost(
                f"Rank {self.rank} of {self.size} lost touch with another rank ({reason}), so this "
                f"run ends: the other rank's own output says why it ended; go on from the last "
                f"checkpoint with `resume`."
            ) from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Split the tensors, in order, into lists of one dtype and about ``BUCKET`` elements."""
    bucket: list[Tensor] = []
    size = 0
    for t in tensors:
        if bucket and (t.dtype != bucket[0].dtype or size + t.numel() > BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(t)
        size += t.numel()
    if bucket:
        yield bucket


_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _fingerprint(t: Tensor) -> Tensor:
    words = t.detach().contiguous().reshape(-1).view(_WORDS[t.element_size()])
    return (words * torch.arange(1, len(words) + 1, device=t.device)).sum()


@contextlib.contextmanager
def join_world(device: str) -> Iterator[World]:
    """Yield this process's World; under torchrun, connected to the others until the block ends.

    Args:
        device: "auto", "cpu" or "cuda". A rank takes the CUDA device of its LOCAL_RANK.

    Raises:
        ConfigError: "cuda" was asked for, and torch sees no device, or fewer than local ranks.
        RankLost: another process can't be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(choose_device(device))
        return
    here = choose_device(device, local_rank=int(os.environ["LOCAL_RANK"]))
    if here.type == "cuda":
        torch.cuda.set_device(here)
    world = World(here, int(os.environ["RANK"]), size)
    backend = "nccl" if here.type == "cuda" else "gloo"
    with world.conversation():
        store, _, _ = next(dist.rendezvous("env://", world.rank, size, timeout=TIMEOUT))
        # torchrun's store outlives the processes: restarted ones would read old addresses.
        store = dist.PrefixStore(
            f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store
        )
        dist.init_process_group(
            backend, store=store, rank=world.rank, world_size=size, timeout=TIMEOUT
        )
    yield world
    # Skipped after an error: the others may never answer, and the process ends anyway.
    dist.destroy_process_group()


def choose_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """Return the device for "auto", "cpu" or "cuda".

    Args:
        local_rank: number of the CUDA device, for a rank among several on this machine.

    Raises:
        ConfigError: "cuda" was asked for, and torch sees no device or none for this rank.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "`device` cuda was asked for, but torch sees no CUDA device: see fastgan doctor."
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank is None:
        return torch.device("cuda")
    if local_rank >= (count := torch.cuda.device_count()):
        raise ConfigError(
            f"torchrun started a process number {local_rank + 1} on this machine, but torch sees "
            f"{count} CUDA device(s): use --nproc-per-node {count}, or `device` cpu."
        )
    return torch.device("cuda", local_rank)
