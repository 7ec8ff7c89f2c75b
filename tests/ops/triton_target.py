"""Compiling Triton kernels for a GPU that isn't there, with the specialisation that a real launch would get."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

#: Bytes of shared memory that one block may use, by compute capability (CUDA programming guide, table of limits).
SHARED_LIMIT = {80: 163 << 10, 90: 227 << 10, 100: 227 << 10}


class _Driver:
    """Stands in for the CUDA driver: it names the target and launches nothing."""

    def __init__(self, target: GPUTarget) -> None:
        self.target = target

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int = 0) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


@contextlib.contextmanager
def target(capability: int) -> Iterator[None]:
    """Within it, ``kernel.warmup(...)`` compiles for that compute capability (80, 90, 100)."""
    driver = triton.runtime.driver
    before = driver._active  # the property would look for a GPU
    driver.set_active(_Driver(GPUTarget("cuda", capability, 32)))
    try:
        yield
    finally:
        driver._active = before


@dataclass(frozen=True)
class Resources:
    registers: int
    stack: int  # bytes; more than none means spills
    shared: int


def resources(compiled: Any, folder: Path) -> Resources:
    """Read off the machine code, since without a driver nothing else tells."""
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    listing = subprocess.run([tool, "-res-usage", cubin], capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", listing)
    assert found, listing
    return Resources(int(found[1]), int(found[2]), compiled.metadata.shared)
