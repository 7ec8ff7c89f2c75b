"""Timing of several calls against each other: one call of each per round, medians over rounds."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Clock = Callable[[Callable[[], object]], float]


def wall_clock(call: Callable[[], object]) -> float:
    """Return the seconds of one call, including the release of its results."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


LAUNCHING = 8_000_000  # cycles: four milliseconds at 2 GHz


class CudaClock:
    """Seconds between two CUDA events around one call, with a cold L2 cache.

    A scratch buffer is overwritten first, which empties the cache. Then the GPU waits for
    :data:`LAUNCHING` cycles while Python launches the call. If the launch takes no longer, the
    result has no waiting for launches.
    """

    def __init__(self, device: torch.device) -> None:
        l2_bytes = torch.cuda.get_device_properties(device).L2_cache_size
        self.scratch = torch.empty(max(4 * l2_bytes, 1 << 30), dtype=torch.uint8, device=device)
        self.start, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def __call__(self, call: Callable[[], object]) -> float:
        self.scratch.zero_()
        torch.cuda._sleep(LAUNCHING)
        self.start.record()
        call()
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end) / 1e3


def clock_for(device: torch.device) -> Clock:
    return CudaClock(device) if device.type == "cuda" else wall_clock


@dataclass(frozen=True)
class Timing:
    """Seconds: the median over the rounds, and the quartiles."""

    median: float
    q25: float
    q75: float
    rounds: int

    @property
    def spread(self) -> float:
        """Return the interquartile range over the median: 0 on a machine without other work."""
        return (self.q75 - self.q25) / self.median if self.median else 0.0


def summarise(seconds: list[float]) -> Timing:
    q25, median, q75 = (
        statistics.quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
    )
    return Timing(median, q25, q75, len(seconds))


class Interleaved:
    """Calls that are timed in rounds. Each round runs every call once, in a new random order.

    So other work on the machine affects all of them, and none always has the cache of the same
    previous one.
    """

    def __init__(
        self, calls: Mapping[str, Callable[[], object]], clock: Clock, *, seed: int = 0
    ) -> None:
        self.calls, self.clock = dict(calls), clock
        self.order = random.Random(seed)
        self.seconds: dict[str, list[float]] = {name: [] for name in calls}

    def round(self) -> None:
        names = list(self.calls)
        self.order.shuffle(names)
        for name in names:
            self.seconds[name].append(self.clock(self.calls[name]))

    def warm_up(self, *, rounds: int = 3) -> float:
        """Run some rounds and discard them; return the seconds of the last one."""
        for _ in range(rounds):
            start = time.perf_counter()
            self.round()
            last = time.perf_counter() - start
        self.seconds = {name: [] for name in self.calls}
        return last

    def timings(self) -> dict[str, Timing]:
        return {name: summarise(seconds) for name, seconds in self.seconds.items()}


def rounds_for(round_seconds: float, *, budget: float, least: int, most: int = 300) -> int:
    """Return the number of rounds that fit into ``budget`` seconds."""
    return max(least, min(most, int(budget / max(round_seconds, 1e-9))))


def floor_seconds(moved: float, copy_seconds: float) -> float:
    """Return the time of ``moved`` tensors at the speed of ``copy_``, which moves two."""
    return moved / 2 * copy_seconds


# Sizes of the square matrices in the product that measures a rate.
PRODUCT_SIDE = {
    "cpu": 1024,
    "cuda": 4096,
}


def product_flops(device_type: str) -> float:
    return 2.0 * PRODUCT_SIDE[device_type] ** 3


def product_call(device: torch.device, dtype: torch.dtype = torch.float32) -> Callable[[], object]:
    """Return a product of random matrices; with ones a GPU's clock would be higher."""
    side = PRODUCT_SIDE[device.type]
    a, b, out = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(3))
    return lambda: torch.mm(a, b, out=out)


def product_floor_seconds(flops: float, product_seconds: float, device_type: str = "cpu") -> float:
    """Return the time of ``flops`` at the rate of the matrix product."""
    return flops / product_flops(device_type) * product_seconds
