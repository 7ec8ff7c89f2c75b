# mypy: disable-error-code="no-untyped-def, assignment"
"""Functions that the Triton kernels share; imported on first use, as triton is slow to import."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ACCUMULATE = {
    torch.float16: tl.float32,
    torch.bfloat16: tl.float32,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
}
SUMS = {t: torch.float64 if t == torch.float64 else torch.float32 for t in ACCUMULATE}


def in_order_of(t: Tensor, layout: Tensor) -> Tensor:
    """Return ``t`` in the memory order of ``layout``: itself if it has that order, else a copy."""
    same = all(n <= 1 or a == b for n, a, b in zip(t.shape, t.stride(), layout.stride()))
    return t if same else torch.empty_like(layout).copy_(t)


def on_device(t: Tensor) -> torch.cuda.device:
    """Make the tensor's GPU current, since Triton launches there.

    It does nothing for CPU tensors, which the interpreter takes.
    """
    return torch.cuda.device(t.device if t.is_cuda else -1)


def power_of_two(n: int) -> int:
    """Return the least power of two that is at least ``n``, and at least 1."""
    return triton.next_power_of_2(max(n, 1))


@triton.jit
def split_lanes(v, ROWS: tl.constexpr, LANES: tl.constexpr):
    """Return the columns of ``v[ROWS, LANES]`` as a tuple; LANES is at most 16.

    No data moves where a thread holds whole rows.
    """
    parts = (v,)
    if LANES == 1:
        parts = (tl.reshape(v, (ROWS,)),)
    elif LANES == 4:
        parts = (tl.reshape(v, (ROWS, 2, 2)),)
    elif LANES == 8:
        parts = (tl.reshape(v, (ROWS, 2, 2, 2)),)
    elif LANES == 16:
        parts = (tl.reshape(v, (ROWS, 2, 2, 2, 2)),)
    for bit in tl.static_range(4):
        # Split on the lowest lane bit; it becomes the highest tuple index.
        if 2**bit < LANES:
            low = ()
            high = ()
            for i in tl.static_range(len(parts)):
                even, odd = tl.split(parts[i])
                low = low + (even,)
                high = high + (odd,)
            parts = low + high
    return parts


@triton.jit
def join_lanes(parts, ROWS: tl.constexpr, LANES: tl.constexpr):
    """Join columns into ``[ROWS, LANES]``: the inverse of :func:`split_lanes`."""
    for bit in tl.static_range(4):
        if 2**bit < LANES:
            joined = ()
            for i in tl.static_range(len(parts) // 2):
                joined = joined + (tl.join(parts[i], parts[i + len(parts) // 2]),)
            parts = joined
    return tl.reshape(parts[0], (ROWS, LANES))
