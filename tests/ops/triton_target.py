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

    def get_current_device(self) -> GPUTarget:
        # Triton keeps what it compiled by this, and another target must not be given it.
        return self.target

    def get_current_stream(self, device: GPUTarget) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


#: What else than a compute capability can be named.
GFX942 = GPUTarget("hip", "gfx942", 64)


@contextlib.contextmanager
def target(gpu: int | GPUTarget) -> Iterator[None]:
    """Within it, ``kernel.warmup(...)`` compiles for that compute capability (80, 90, 100) or target."""
    driver = triton.runtime.driver
    before = driver._active  # the property would look for a GPU
    driver.set_active(_Driver(GPUTarget("cuda", gpu, 32) if isinstance(gpu, int) else gpu))
    try:
        yield
    finally:
        driver._active = before


@contextlib.contextmanager
def launches(gpu: int | GPUTarget) -> Iterator[list[Any]]:
    """Within it, launching kernels on CPU tensors compiles them as :func:`target` does; yields what was compiled."""
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
    stack: int  # bytes; more than none means spills
    shared: int


def resources(compiled: Any, folder: Path) -> Resources:
    """Read off the machine code, since without a driver nothing else tells."""
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    listing = subprocess.run(
        [tool, "-res-usage", cubin], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", listing)
    assert found, listing
    return Resources(int(found[1]), int(found[2]), compiled.metadata.shared)


def check(compiled: Any, capability: int, folder: Path) -> None:
    """No spills, registers for 16 warps on a multiprocessor, shared memory that the architecture has; no number is rounded
    to float32 on its way in."""
    assert compiled.metadata.target.arch == capability
    assert "fp32" not in compiled.src.signature.values()
    used = resources(compiled, folder)
    assert used.stack == 0
    assert used.registers <= 128
    assert used.shared <= SHARED_LIMIT[capability]


def widths(compiled: Any) -> tuple[int, int]:
    """Bytes of the widest load and store of a thread."""
    found = re.findall(r"(ld|st)\.global(?:\.v([24]))?\.b(\d+)", compiled.asm["ptx"])
    load, store = (
        max(int(lanes or 1) * int(bits) // 8 for access, lanes, bits in found if access == kind)
        for kind in ("ld", "st")
    )
    return load, store
