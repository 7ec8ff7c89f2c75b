"""Registration of upfirdn2d: schema, fake kernel, autograd.

The registered op takes the size of its output instead of the padding behind the image. So its
gradient is the same op with ``up`` and ``down`` exchanged, the filter reversed and
``taps - 1 - pad`` before the image. A derivative of any order runs on the forward kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._layout import memory_format
from fastgan.ops._library import define
from fastgan.ops.upfirdn2d import reference


def _fake(
    x: Tensor, f: Any, up: Any, down: Any, pad: Any, size: Sequence[int], *rest: Any
) -> Tensor:
    shape = (x.shape[0], x.shape[1], size[1], size[0])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format(x))


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, ctx.up, ctx.down, pad, _, ctx.flip, ctx.gain = inputs
    taps = reference.axis_taps(f)
    ctx.pad = [taps[0] - 1 - pad[0], taps[1] - 1 - pad[1]]
    ctx.size = [x.shape[3], x.shape[2]]
    ctx.save_for_backward(f)


def _backward(ops: Any, ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    (f,) = ctx.saved_tensors
    dx = ops.upfirdn2d(dy, f, ctx.down, ctx.up, ctx.pad, ctx.size, not ctx.flip, ctx.gain)
    return (dx,) + (None,) * 7


define(
    "upfirdn2d(Tensor x, Tensor? f, int[] up, int[] down, int[] pad, SymInt[] size, bool flip, "
    "float gain) -> Tensor",
    reference,
    fake=_fake,
    setup_context=_context,
    backward=_backward,
    triton="fastgan.ops.upfirdn2d",
)
