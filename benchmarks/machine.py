"""Description of the machine and the versions behind a figure."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from pathlib import Path

import torch

from fastgan.runtime import tune_cpu_allocator, versions

ROOT = Path(__file__).resolve().parents[1]


UNCOMMITTED = "measured with changes that no commit holds"


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit() -> str:
    """Return ``git describe`` of this checkout, with a mark for changes; else ``"unknown"``."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--tags", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{found}: {UNCOMMITTED}" if found.endswith("-dirty") else found


def loaded_libraries() -> str:
    """Return the memory map of this process; it is empty if the system has none."""
    try:
        return Path("/proc/self/maps").read_text()
    except OSError:
        return ""


def set_up_allocator(*, tuned: bool) -> str:
    """Tune the C library's allocator or leave it, and return its state.

    Tuning stays for the rest of the process, so each state needs a process.
    """
    preloaded = [
        name for name in ("jemalloc", "tcmalloc", "mimalloc") if f"lib{name}" in loaded_libraries()
    ]
    if preloaded:
        return preloaded[0]
    libc = platform.libc_ver()[0] or platform.system()
    if not tuned:
        return f"{libc}, untuned"
    return (
        f"{libc}, tuned"
        if tune_cpu_allocator()
        else f"{libc}, untuned: tuning it is not possible here"
    )


def describe(device: torch.device, *, allocator: str) -> dict[str, str]:
    """Return the header of a run by name, in the order of display."""
    load = os.getloadavg()[0]
    busy = "" if load < 0.3 else "; not idle: other work may be in these times"
    found = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "machine": f"{cpu_model()}, {available_cores()} cores, "
        f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "allocator": allocator,
        "load before": f"{load:.2f}{busy}",
        "date": date.today().isoformat(),
        "commit": commit(),
    }
    return found | {name: version for name, version in versions().items() if name != "gpu"}
