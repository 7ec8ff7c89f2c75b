# mypy: disable-error-code="no-untyped-def, assignment"
"""The epilogue of upfirdn2d's Triton kernels: scale, noise, bias and activation of their results.

A launch takes it as keyword arguments; ``ACT`` is None for none.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._activations import Options
from fastgan.ops._triton_activations import PIECEWISE, act_value, rounded_clamp

#: Arguments of a launch without an epilogue.
NOTHING: dict[str, Any] = {
    "filtered_ptr": None, "scale_ptr": None, "noise_ptr": None, "b_ptr": None, "channels": 1,
    "noise_step": 0, "alpha": 0.0, "act_gain": 0.0, "clamp": 0.0, "ACT": None,
}  # fmt: skip


def epilogue(
    out: Tensor, filtered: Tensor | None, scale: Tensor | None, noise: Tensor | None,
    b: Tensor | None, options: Options,
) -> dict[str, Any]:  # fmt: skip
    """Return the arguments of a launch that also writes the filtered image, unless that is None."""
    act, alpha, gain, clamp = options
    scale, noise, b = (None if t is None else t.contiguous() for t in (scale, noise, b))
    shared = noise is None or noise.shape[0] == 1
    return {
        "filtered_ptr": filtered, "scale_ptr": scale, "noise_ptr": noise, "b_ptr": b,
        "channels": out.shape[1], "noise_step": 0 if shared else out.shape[2] * out.shape[3],
        "alpha": PIECEWISE.get(act, alpha), "act_gain": gain,
        "clamp": rounded_clamp(clamp, out.dtype), "ACT": "lrelu" if act in PIECEWISE else act,
    }  # fmt: skip


@triton.jit
def parameter(ptr, at, there, absent: tl.constexpr, ACC: tl.constexpr):
    """Load a parameter where it is ``there``; return ``absent`` if it is None."""
    found = absent
    if ptr is not None:
        found = tl.load(ptr + at, there, 0.0).to(ACC)
    return found


@triton.jit
def act_of(v, alpha, gain, clamp, ACT: tl.constexpr):
    """Return ``clamp(gain · act(v))``; no clamp is NaN."""
    y = act_value(v, alpha, ACT) * gain
    return tl.where(y > clamp, clamp, tl.where(y < -clamp, -clamp, y))
