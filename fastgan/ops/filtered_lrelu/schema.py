"""Registration of filtered_lrelu and of its derivative: schemas, fake kernels, autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._define import define
from fastgan.ops._layout import image_like
from fastgan.ops.bias_act.reference import sum_to_bias
from fastgan.ops.filtered_lrelu import reference
from fastgan.ops.upfirdn2d.reference import axis_taps

# The derivative is the same op from the other end: both factors and both filters are exchanged, the
# filters are reversed, and codes take the place of the activation. So it is its own derivative, and
# any order runs on the two kernels.


def _transposed(
    x: Tensor, fu: Tensor | None, fd: Tensor | None, up: int, down: int, pad: Sequence[int],
    offset: Sequence[int], gain: float, slope: float, flip: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the arguments of the derivative behind its tensors."""
    taps = list(zip(axis_taps(fu), axis_taps(fd)))
    before = [tu + td - 2 - p for (tu, td), p in zip(taps, pad)]
    start = [o + p - (tu - 1) for (tu, _), p, o in zip(taps, pad, offset)]
    return down, up, before, [x.shape[3], x.shape[2]], start, gain, slope, not flip


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, _, fu, fd, up, down, pad, _, gain, slope, _, flip, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], fd, fu)
    ctx.settings = _transposed(x, fu, fd, up, down, pad, (0, 0), gain, slope, flip)


def _forward_backward(ops: Any, ctx: Any, dy: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:
    if dy is None:
        return None, None
    dx = ops.filtered_lrelu_linear(dy, *ctx.saved_tensors, *ctx.settings)
    return dx, sum_to_bias(dx, 1) if ctx.needs_input_grad[1] else None


def _forward_fake(
    x: Tensor, b: Any, fu: Any, fd: Tensor | None, up: int, down: int, pad: Any,
    size: Sequence[int], *rest: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    y = image_like(x, (size[1], size[0]))
    if not rest[-1]:
        return y, x.new_empty(0, dtype=torch.uint8)
    width, height = reference.codes_size(size, fd, down)
    return y, image_like(x, (height, width), dtype=torch.uint8)


define(
    "filtered_lrelu(Tensor x, Tensor? b, Tensor? fu, Tensor? fd, int up, int down, int[] pad, "
    "SymInt[] size, float gain, float slope, float? clamp, bool flip, bool need_codes) -> "
    "(Tensor, Tensor)",
    reference,
    fake=_forward_fake,
    setup_context=_forward_context,
    backward=_forward_backward,
    triton="fastgan.ops.filtered_lrelu",
)


def _linear_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, codes, fu, fd, up, down, pad, _, offset, gain, slope, flip = inputs
    ctx.save_for_backward(codes, fd, fu)
    ctx.settings = _transposed(x, fu, fd, up, down, pad, offset, gain, slope, flip)


def _linear_backward(ops: Any, ctx: Any, dy: Tensor) -> tuple[Tensor]:
    return (ops.filtered_lrelu_linear(dy, *ctx.saved_tensors, *ctx.settings),)


define(
    "filtered_lrelu_linear(Tensor x, Tensor codes, Tensor? fu, Tensor? fd, int up, int down, "
    "int[] pad, SymInt[] size, int[] offset, float gain, float slope, bool flip) -> Tensor",
    reference,
    fake=lambda x, codes, fu, fd, up, down, pad, size, *rest: image_like(x, (size[1], size[0])),
    setup_context=_linear_context,
    backward=_linear_backward,
    triton="fastgan.ops.filtered_lrelu",
)
