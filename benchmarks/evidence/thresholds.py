"""Thresholds of the kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.evidence.listing import ELEMENT_TYPES, Kernel

BLOCK = 256  # threads per block of our kernels
REGISTERS_PER_SM, THREADS_PER_SM, REGISTER_UNIT = 65536, 2048, 8  # of sm_80, sm_90 and sm_100
# Three blocks of 256 threads, 24 of 64 warps, run at a time. The second derivatives of curved
# activations are near the ceiling. Each of their threads has three 128-bit loads in flight, 36 KB
# per SM together. An H100 needs about 15 KB to hide its latency (3.35 TB/s · 0.6 µs / 132 SMs).
REGISTER_CEILING = 80


def occupancy(registers: int) -> float:
    """Return the fraction of an SM's threads that blocks of 256 with these registers fill."""
    allocated = -(-registers // REGISTER_UNIT) * REGISTER_UNIT
    blocks = min(REGISTERS_PER_SM // (allocated * BLOCK), THREADS_PER_SM // BLOCK)
    return blocks * BLOCK / THREADS_PER_SM


def problems(kernels: Sequence[Kernel]) -> list[str]:
    """Return a sentence for each threshold that a kernel misses, or none."""
    found = []
    for k in kernels:
        where, r = f"sm_{k.architecture} {k.op}: {short(k.signature)}", k.resources
        if r.spill_stores or r.spill_loads or k.local:
            found.append(
                f"{where} spills {r.spill_stores} bytes of stores and {r.spill_loads} of loads "
                f"and has {k.local} accesses to local memory; none are allowed"
            )
        if r.registers > REGISTER_CEILING:
            found.append(
                f"{where} takes {r.registers} registers, at most {REGISTER_CEILING} are allowed"
            )
        if k.name.vectorised and not k.wide_loads:
            found.append(f"{where} has no 128-bit load among its {k.loads} loads")
        if k.name.vectorised and not k.name.leaves_sums_alone and not k.wide_stores:
            found.append(f"{where} has no 128-bit store among its {k.stores} stores")
    return found + _missing_types(kernels)


def _missing_types(kernels: Sequence[Kernel]) -> list[str]:
    """Report missing types of images. float64 may have single elements: it checks other types."""
    found = []
    for op in dict.fromkeys(k.op for k in kernels):
        fast = {k.name.element for k in kernels if k.op == op and k.name.vectorised}
        if missing := [
            e for e, size in ELEMENT_TYPES.items() if size < 8 and fast and e not in fast
        ]:
            found.append(f"{op} has no instantiation for 128-bit accesses of {', '.join(missing)}")
    return found


def short(signature: str) -> str:
    """Return a kernel's name and template arguments, without namespaces and parameters."""
    depth, end = 0, len(signature)
    for position, character in enumerate(signature):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if depth == 0 and character == "(":
            end = position
            break
    return re.sub(r"\w+::", "", signature[:end].removeprefix("void "))
