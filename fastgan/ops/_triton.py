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
def expm1_of_negative(x):
    """Return e^x - 1 for x <= 0, without cancellation near zero."""
    p = x * 0.0 + 1.0 / 87178291200.0  # 1/14!
    p = p * x + 1.0 / 6227020800.0
    p = p * x + 1.0 / 479001600.0
    p = p * x + 1.0 / 39916800.0
    p = p * x + 1.0 / 3628800.0
    p = p * x + 1.0 / 362880.0
    p = p * x + 1.0 / 40320.0
    p = p * x + 1.0 / 5040.0
    p = p * x + 1.0 / 720.0
    p = p * x + 1.0 / 120.0
    p = p * x + 1.0 / 24.0
    p = p * x + 1.0 / 6.0
    p = p * x + 0.5
    return tl.where(x > -0.5, (p * x + 1.0) * x, tl.exp(x) - 1.0)


@triton.jit
def log1p_of_fraction(x):
    """Return ln(1 + x) for 0 <= x <= 1: 2 artanh(x / (2 + x)), its series to the 33rd power."""
    s = x / (2.0 + x)
    t = s * s
    p = t * 0.0 + 1.0 / 33.0
    for i in tl.static_range(15):
        p = p * t + 1.0 / (31.0 - 2.0 * i)
    return 2.0 * s * (p * t + 1.0)


@triton.jit
def sigmoid_with_slope(v):
    """Return sigmoid(v) and its derivative.

    Both are made of e^-|v|, which neither overflows nor cancels.
    """
    e = tl.exp(-tl.abs(v))
    large = 1.0 / (1.0 + e)
    small = e * large
    return tl.where(v < 0, small, large), large * small


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
