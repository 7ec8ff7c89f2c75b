"""Time, kernels and synchronisation of calls, on a GPU or, for a dry run, on the CPU."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.utils._pytree import tree_map_only

from benchmarks.launches import Launches

Call = Callable[[], Any]
#: What CUPTI names a launch of the host.
LAUNCHES = (
    "cudaLaunchKernel",
    "cuLaunchKernel",
    "cudaGraphLaunch",
    "cudaMemcpyAsync",
    "cudaMemsetAsync",
)
SYNC = "called a synchronizing CUDA operation"


def synchronize(device: str) -> None:
    """Wait for the GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def multiply_as(*, tf32: bool) -> None:
    """Let a GPU multiply float32 as TF32, or in full."""
    for setting in (torch.backends.cuda.matmul, torch.backends.cudnn.conv):
        setting.fp32_precision = "tf32" if tf32 else "ieee"


def warm_up(call: Call, device: str, times: int = 3) -> None:
    """Call a few times on a stream of its own, as a capture needs."""
    if device != "cuda":
        call()
        return
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(times):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()


def captured(call: Call, device: str, times: int = 1) -> tuple[Call, Any]:
    """Capture a call ``times`` in a row in a CUDA graph.

    Returns:
        The graph's replay, and the result of the last call, whose tensors each replay fills. On the
        CPU there are no graphs: the replay calls again and copies.
    """
    warm_up(call, device)
    if device != "cuda":
        result = call()

        def again() -> None:
            for _ in range(times):
                found = call()
            copy_(result, found)

        return again, result
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            result = call()
    return graph.replay, result


def copy_(target: Any, source: Any) -> None:
    """Copy the tensors of one nested value into those of another."""
    pending = iter(torch.utils._pytree.tree_leaves(source))
    for place in torch.utils._pytree.tree_leaves(target):
        found = next(pending)
        if isinstance(place, torch.Tensor):
            place.detach().copy_(found.detach())


def detached(value: Any) -> Any:
    """Return clones of the tensors in a nested value."""
    return tree_map_only(torch.Tensor, lambda t: t.detach().clone(), value)


def seconds_of(call: Call, device: str, *, rounds: int = 9, calls: int = 1) -> float:
    """Return the median seconds of a call over rounds of ``calls`` in a row."""
    found = []
    for _ in range(rounds):
        if device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(calls):
                call()
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) / 1e3 / calls)
        else:
            began = time.perf_counter()
            for _ in range(calls):
                call()
            found.append((time.perf_counter() - began) / calls)
    return statistics.median(found)


def seconds_by_replay(call: Call, device: str, *, quick: bool) -> float:
    """Return the seconds of a call by replays of a CUDA graph that holds several of it."""
    times = 1 if quick else 10
    replay, _ = captured(call, device, times)
    for _ in range(1 if quick else 3):
        replay()
    return seconds_of(replay, device, rounds=1 if quick else 15) / times


def host_seconds(call: Call, device: str, *, rounds: int, calls: int) -> tuple[float, float]:
    """Return the least seconds in which the host issues a call: on the wall, and of its CPU."""
    wall, cpu = [], []
    for _ in range(rounds):
        synchronize(device)
        began, used = time.perf_counter(), time.thread_time()
        for _ in range(calls):
            call()
        wall.append((time.perf_counter() - began) / calls)
        cpu.append((time.thread_time() - used) / calls)
    synchronize(device)
    return min(wall), min(cpu)


@dataclass
class Profile:
    """Work of a GPU during some calls.

    Args:
        kernels: kernels and copies on the GPU.
        launches: calls of the host that started them; a CUDA graph is one.
        busy: seconds in which at least one kernel ran.
        by_name: seconds by kernel.
    """

    kernels: int = 0
    launches: int = 0
    busy: float = 0.0
    by_name: Counter[str] = field(default_factory=Counter)

    def most(self, count: int = 3) -> str:
        """Say which kernels take the most time."""
        total = sum(self.by_name.values())
        if not total:
            return ""
        parts = [
            f"{seconds / total:.0%} {short(name)}"
            for name, seconds in self.by_name.most_common(count)
        ]
        return ", ".join(parts)


def short(name: str) -> str:
    """Return a kernel's name without its parameters."""
    name = name.removeprefix("void ")
    for opening in "<(":
        name = name.partition(opening)[0] or name
    return name.split("::")[-1][:48]


def profile(call: Call, device: str) -> Profile:
    """Profile a call. On the CPU its operators count as kernels, without times."""
    if device != "cuda":
        with Launches() as counted:
            call()
        return Profile(kernels=counted.count, launches=counted.count)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        call()
        torch.cuda.synchronize()
    return summary(profiler.events())


def summary(events: Any) -> Profile:
    """Summarise the events of torch's profiler."""
    found = Profile()
    spans = []
    for event in events:
        if event.device_type == DeviceType.CUDA:
            # Ranges that a program names are no kernels.
            if getattr(event, "is_user_annotation", False) or event.name.startswith("## "):
                continue
            start, end = event.time_range.start, event.time_range.end
            spans.append((start, end))
            found.by_name[event.name] += (end - start) / 1e6
            found.kernels += 1
        elif event.name.startswith(LAUNCHES):
            found.launches += 1
    until = float("-inf")
    for start, end in sorted(spans):
        found.busy += max(0.0, end - max(start, until)) / 1e6
        until = max(until, end)
    return found


@contextmanager
def counting_syncs(device: str) -> Iterator[Counter[str]]:
    """Count where the host waits for the GPU inside the block, by place in the code."""
    found: Counter[str] = Counter()
    if device != "cuda":
        yield found
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield found
        for warning in caught:
            if SYNC in str(warning.message):
                found[f"{warning.filename.rpartition('/')[2]}:{warning.lineno}"] += 1
    finally:
        torch.cuda.set_sync_debug_mode(before)
