"""Compilation of Triton kernels for an absent GPU, with the specialisation of a real launch."""

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

#: Bytes of shared memory per block by compute capability (CUDA programming guide, table of limits).
SHARED_LIMIT = {80: 163 << 10, 90: 227 << 10, 100: 227 << 10}


class _Driver:
    """Replacement of the CUDA driver: it names the target and launches nothing."""

    def __init__(self, target: GPUTarget) -> None:
        self.target = target

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> GPUTarget:
        # Triton caches compiled kernels by this; other targets need another key.
        return self.target

    def get_current_stream(self, device: GPUTarget) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


#: A target that isn't a compute capability.
GFX942 = GPUTarget("hip", "gfx942", 64)


@contextlib.contextmanager
def target(gpu: int | GPUTarget) -> Iterator[None]:
    """Make ``kernel.warmup(...)`` compile for a compute capability (80, 90, 100) or target."""
    driver = triton.runtime.driver
    before = driver._active  # the property would search for a GPU
    driver.set_active(_Driver(GPUTarget("cuda", gpu, 32) if isinstance(gpu, int) else gpu))
    try:
        yield
    finally:
        driver._active = before


@contextlib.contextmanager
def launches(gpu: int | GPUTarget) -> Iterator[list[Any]]:
    """Compile kernels that are launched on CPU tensors; yield the compiled kernels."""
    compiled: list[Any] = []
    run = triton.JITFunction.run

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        compiled.append(run(self, *args, grid=grid, warmup=True, **kwargs))

    triton.JITFunction.run = compile_only
    try:
        with target(gpu):
            yield compiled
    finally:
        triton.JITFunction.run = run


@dataclass(frozen=True)
class Resources:
    registers: int
    stack: int  # bytes; more than 0 means spills
    shared: int


def resources(compiled: Any, folder: Path) -> Resources:
    """Read resources from the machine code; without a driver nothing else has them."""
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    listing = subprocess.run(
        [tool, "-res-usage", cubin], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", listing)
    assert found, listing
    return Resources(int(found[1]), int(found[2]), compiled.metadata.shared)


def check(
    compiled: Any, capability: int, folder: Path, *, atomics: bool = False, registers: int = 128
) -> None:
    """Check for spills, registers of a thread, and shared memory.

    With 128 registers, a multiprocessor has 16 warps.

    No number may be rounded to float32 on its way in. Sums have a fixed order: there are no
    atomics, or with ``atomics`` those of integers.
    """
    ptx = compiled.asm["ptx"]
    assert not re.search(r"(atom|red)\.\S*\.b?f\d", ptx)
    assert atomics or ("atom" not in ptx and "red.global" not in ptx)
    assert compiled.metadata.target.arch == capability
    assert "fp32" not in compiled.src.signature.values()
    used = resources(compiled, folder)
    assert used.stack == 0
    assert used.registers <= registers
    assert used.shared <= SHARED_LIMIT[capability]


def widths(compiled: Any) -> tuple[int, int]:
    """Return the bytes of a thread's widest load and store."""
    found = re.findall(r"(ld|st)\.global(?:\.v([24]))?\.b(\d+)", compiled.asm["ptx"])
    load, store = (
        max(int(lanes or 1) * int(bits) // 8 for access, lanes, bits in found if access == kind)
        for kind in ("ld", "st")
    )
    return load, store
