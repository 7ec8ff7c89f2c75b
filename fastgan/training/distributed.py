"""One process, or several that torchrun started: who this one is, and what they tell each other.

Every rank holds all networks and takes a contiguous part of each global batch. Gradients are averaged once an
update's are whole, not by hooks inside the backward pass: so penalties may differentiate twice and micro-batches
add up, and the networks need no wrapper. Rank 0 alone writes.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from fastgan._torch_private import copy_all_
from fastgan.errors import FastganError
from fastgan.training.config import ConfigError

T = TypeVar("T")

BUCKET = 2**23  # elements in one message: large enough for the bandwidth, small beside the networks
TIMEOUT = datetime.timedelta(minutes=10)  # rank 0 may draw, measure and write while the others wait


class RankLost(FastganError):
    """Another process of the run can't be reached any more."""


class RanksDiffer(FastganError):
    """The processes of a run no longer hold the same weights."""


@dataclass(frozen=True)
class World:
    """rank: 0 to size - 1. device: where this rank's networks live. With size 1 nothing is ever sent."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its mean over the ranks, in place; the same bits on all of them.

        Every rank gives tensors of the same shapes and dtypes in the same order. Raises RankLost.
        """
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([t.reshape(-1) for t in bucket])
            with self.conversation():
                dist.all_reduce(flat)
            flat /= self.size
            parts = flat.split([t.numel() for t in bucket])
            copy_all_(bucket, [part.view_as(t) for part, t in zip(parts, bucket)])

    def any(self, flag: bool) -> bool:
        """True on all ranks if `flag` is on one. Raises RankLost."""
        if self.size == 1:
            return flag
        told = torch.tensor(float(flag), device=self.device)
        with self.conversation():
            dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return bool(told)

    def mean(self, row: Mapping[str, float]) -> dict[str, float]:
        """The mean of each number over the ranks, all of which have the same names. Raises RankLost."""
        if self.size == 1 or not row:
            return dict(row)
        values = torch.tensor(list(row.values()), dtype=torch.float64, device=self.device)
        with self.conversation():
            dist.all_reduce(values)
        return dict(zip(row, (values / self.size).tolist()))

    def broadcast(self, value: T) -> T:
        """Rank 0's `value`: plain data and CPU tensors. Raises RankLost."""
        if self.size == 1:
            return value
        box = [value]
        with self.conversation():
            dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def barrier(self) -> None:
        """Waits until every rank is here. Raises RankLost."""
        self.any(False)

    def same(self, tensors: Sequence[Tensor]) -> bool:
        """Whether all ranks hold the same bits, on all ranks alike. Raises RankLost."""
        if self.size == 1:
            return True
        # Sums of the raw bytes, weighted by place: a difference of one bit anywhere changes them.
        sums = (
            torch.stack([_fingerprint(t) for t in tensors])
            if tensors
            else torch.zeros(1, dtype=torch.int64)
        )
        theirs = self.broadcast(sums.cpu())
        return not self.any(not torch.equal(sums.cpu(), theirs))

    @contextlib.contextmanager
    def conversation(self, *, among_other_work: bool = False) -> Iterator[None]:
        """A block that talks to other ranks: an error in that becomes RankLost; other work's errors stay."""
        try:
            yield
        except RuntimeError as error:
            if among_other_work and not (isinstance(error, dist.DistError) or "gloo" in str(error)):
                raise
            reason = str(error).splitlines()[0]
            raise RankLost(
                f"Rank {self.rank} of {self.size} lost touch with another rank ({reason}), so this run ends: what "
                f"ended the other one is in its own output; go on from the last checkpoint with --resume."
            ) from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in order, in lists of one dtype and of about `BUCKET` elements."""
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
    """This process's World: alone, or where torchrun started it, in touch with the others until the block ends.

    device: "auto", "cpu" or "cuda"; a rank takes the CUDA device of its LOCAL_RANK.
    Raises ConfigError for "cuda" where torch sees none, or fewer than the ranks on this machine; RankLost.
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
        # torchrun's store outlives the processes: started again, they would find the addresses of those that ended.
        store = dist.PrefixStore(
            f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store
        )
        dist.init_process_group(
            backend, store=store, rank=world.rank, world_size=size, timeout=TIMEOUT
        )
    yield world
    dist.destroy_process_group()  # not after an error: the others may never answer, and the process ends anyway


def choose_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """The device for "auto", "cpu" or "cuda"; local_rank: which one, for a rank among several.

    Raises ConfigError for "cuda" where torch sees none, and for a rank that there is no CUDA device for.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda was asked for, but torch sees no CUDA device: see fastgan doctor."
        )
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank is None:
        return torch.device("cuda")
    if local_rank >= (count := torch.cuda.device_count()):
        raise ConfigError(
            f"torchrun started a process number {local_rank + 1} on this machine, but torch sees {count} CUDA "
            f"device(s): use --nproc-per-node {count}, or --device cpu."
        )
    return torch.device("cuda", local_rank)
