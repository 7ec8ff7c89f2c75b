"""The process that the ops run in: its versions, its threads, and the C library's allocator."""

from __future__ import annotations

import importlib
import os
import platform
from typing import Any

import torch

import fastgan
from fastgan._torch_private import has_amx
from fastgan.ops import backends


def versions() -> dict[str, str]:
    """Return the versions that results depend on, by name; ``"none"`` for what is missing."""
    try:
        import triton

        triton_version = triton.__version__
    except ImportError:
        triton_version = "none"
    found = {
        "fastgan": fastgan.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda (torch)": torch.version.cuda or "none",
        "triton": triton_version,
        "native build": native_build(),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def native_build() -> str:
    """Describe the compiled part: compiler, CPU code in use, CUDA architectures.

    It is ``"none"`` without a compiled part.
    """
    try:
        _info: Any = importlib.import_module("fastgan._info")
    except ImportError:
        return "none"
    parts = [f"torch {_info.torch_version}", f"{_info.compiler}"]
    if backends()["cpu"].usable:
        parts.append(f"CPU code {torch.ops.fastgan_runtime.cpu_capability()}")
    parts.append(
        f"CUDA {_info.cuda_version} for {_info.cuda_architectures}" if _info.has_cuda else "no CUDA"
    )
    return ", ".join(parts)


def threads() -> str:
    """Describe the threads of an op on the CPU: their number, and how they wait for each other.

    OpenMP reads ``OMP_WAIT_POLICY`` when torch is imported. The command line sets it to ``PASSIVE``
    unless the environment says how to wait.
    """
    policy = os.environ.get("OMP_WAIT_POLICY", "").upper()
    spins = os.environ.get("GOMP_SPINCOUNT")
    if spins is not None:
        waiting = f"GOMP_SPINCOUNT={spins}"
    elif policy == "PASSIVE":
        waiting = "passive: a waiting thread sleeps (OMP_WAIT_POLICY=PASSIVE)"
    else:
        waiting = "active: a waiting thread keeps its core; OMP_WAIT_POLICY=PASSIVE lets it sleep"
    return f"{torch.get_num_threads()}, waiting {waiting}"


def amx_kernels() -> str:
    """Say if convolutions in bfloat16 run on AMX kernels of ours, and if not, why."""
    if not hasattr(torch.ops.fastgan_runtime, "amx_is_available"):
        return "no: not in this build, which needs Linux on x86-64 and a compiler that knows AMX"
    if torch.ops.fastgan_runtime.amx_is_available():
        return "yes"
    if has_amx():
        return "no: FASTGAN_CPU_LEVEL excludes them; unset it"
    return "no: this CPU or system has no AMX (amx_tile, amx_bf16, avx512_bf16)"


def tune_cpu_allocator() -> bool:
    """Make the C library keep freed memory, instead of returning it to the operating system.

    glibc returns freed blocks of over 32 MB to the kernel. The page faults of the next block cost
    several times the work of a memory-bound op. This function sets ``M_MMAP_THRESHOLD`` to 1 GiB
    and ``M_TRIM_THRESHOLD`` to 4 GiB for the whole process, which then keeps its peak memory. The
    command line and the benchmarks call it; importing fastgan never does. jemalloc and tcmalloc
    behave this way by themselves.

    Returns:
        True if it took effect; False where there is no glibc or no native library.
    """
    if not backends()["cpu"].usable:
        return False
    return bool(torch.ops.fastgan_runtime.tune_cpu_allocator())
