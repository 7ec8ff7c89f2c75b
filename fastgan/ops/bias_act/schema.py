"""Registration of bias_act and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import CURVED
from fastgan.ops._library import define
from fastgan.ops.bias_act import reference


def saves_input(act: str, alpha: float) -> bool:
    """Return True if the derivative needs ``x + b``.

    Piecewise linear activations take their slope from the sign of the output.
    """
    return act in CURVED or (act == "lrelu" and alpha < 0)


def saves_output(act: str, alpha: float, clamp: float | None) -> bool:
    """Return True if the derivative needs the output."""
    return not saves_input(act, alpha) and (act != "linear" or clamp is not None)


# ----------------------------------------------------------------------------------- forward


def _forward_fake(x: Tensor, b: Tensor | None, dim: int, act: str, *scalars: Any) -> Tensor:
    return torch.empty_like(x)


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, b, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp = inputs
    ctx.has_bias = b is not None
    keep_input = saves_input(ctx.act, ctx.alpha)
    ctx.save_for_backward(
        x if keep_input else None,
        b if keep_input else None,
        output if saves_output(ctx.act, ctx.alpha, ctx.clamp) else None,
    )


def _forward_backward(ops: Any, ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, b, y = ctx.saved_tensors
    if y is not None:
        # Its sign is constant. Attached, the second derivative would run this pass again on zeros.
        y = y.detach()
    need_db = ctx.has_bias and ctx.needs_input_grad[1]
    if ctx.act == "linear" and ctx.clamp is None and ctx.gain == 1:
        dx, db = dy, reference.sum_to_bias(dy, ctx.dim) if need_db else None
    else:
        dx, db = ops.bias_act_backward(
            dy, x, b, y, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, need_db
        )
    return dx, db if need_db else None, None, None, None, None, None


define(
    "bias_act(Tensor x, Tensor? b, int dim, str act, float alpha, float gain, float? clamp) -> "
    "Tensor",
    reference,
    fake=_forward_fake,
    setup_context=_forward_context,
    backward=_forward_backward,
    triton="fastgan.ops.bias_act",
)


# -------------------------------------------------------------------------- first derivative


def _backward_fake(
    dy: Tensor, x: Any, b: Any, y: Any, dim: int, *rest: Any
) -> tuple[Tensor, Tensor]:
    need_db = rest[-1]
    return torch.empty_like(dy), dy.new_empty(dy.shape[dim] if need_db else 0)


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    dy, x, b, y, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, ctx.has_db = inputs
    ctx.save_for_backward(dy if ctx.act in CURVED else None, x, b, y)


def _backward_backward(
    ops: Any, ctx: Any, ddx: Tensor | None, ddb: Tensor | None
) -> tuple[Tensor | None, ...]:
    dy, x, b, y = ctx.saved_tensors
    if not ctx.has_db:
        ddb = None
    curved = dy is not None
    need_db = curved and b is not None and ctx.needs_input_grad[2]
    ddy, dx, db = ops.bias_act_double_backward(
        ddx, ddb, dy, x, b, y, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, need_db
    )
    return (ddy, dx if curved else None, db if need_db else None) + (None,) * 7


define(
    "bias_act_backward(Tensor dy, Tensor? x, Tensor? b, Tensor? y, int dim, str act, float alpha, "
    "float gain, float? clamp, bool need_db) -> (Tensor, Tensor)",
    reference,
    fake=_backward_fake,
    setup_context=_backward_context,
    backward=_backward_backward,
    triton="fastgan.ops.bias_act",
)


# ------------------------------------------------------------------------- second derivative


def _double_fake(
    ddx: Tensor, ddb: Any, dy: Any, x: Any, b: Any, y: Any, dim: int, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    need_db = rest[-1]
    dx = torch.empty_like(ddx) if dy is not None else ddx.new_empty(0)
    return torch.empty_like(ddx), dx, ddx.new_empty(ddx.shape[dim] if need_db else 0)


def _double_context(
    ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]
) -> None:
    ddx, ddb, dy, x, b, y, ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, ctx.has_db = inputs
    curved = dy is not None
    ctx.has_ddb = ddb is not None
    ctx.save_for_backward(ddx if curved else None, ddb if curved else None, dy, x, b, y)


def _double_backward(
    ops: Any, ctx: Any, g_ddy: Tensor, g_dx: Tensor, g_db: Tensor
) -> tuple[Tensor | None, ...]:
    """Third order: kernels for piecewise linear activations, plain torch's formula for others."""
    ddx, ddb, dy, x, b, y = ctx.saved_tensors
    scalars = (ctx.dim, ctx.act, ctx.alpha, ctx.gain, ctx.clamp)
    need_ddb = ctx.has_ddb and ctx.needs_input_grad[1]
    if dy is None:
        g_h, g_ddb = ops.bias_act_backward(g_ddy, x, b, y, *scalars, need_ddb)
        return (g_h, g_ddb if need_ddb else None) + (None,) * 10

    # ddy = h·s1, dx = h·dy·s2 and db = Σ dx, with h = ddx + ddb and s_k = gain·act^(k)(x + b).
    s1, s2, s3 = (reference.slope(x, b, None, ddx, *scalars, order=k) for k in (1, 2, 3))
    h = reference.pre_activation(ddx, ddb, ctx.dim)
    q = g_dx if not ctx.has_db else reference.pre_activation(g_dx, g_db, ctx.dim)
    g_h = g_ddy * s1 + q * dy * s2
    g_dy = q * h * s2
    g_v = g_ddy * h * s2 + q * h * dy * s3
    dtype = ddx.dtype
    return (
        g_h.to(dtype),
        reference.sum_to_bias(g_h, ctx.dim).to(dtype) if need_ddb else None,
        g_dy.to(dtype),
        g_v.to(dtype),
        reference.sum_to_bias(g_v, ctx.dim).to(dtype) if b is not None else None,
    ) + (None,) * 7


define(
    "bias_act_double_backward(Tensor ddx, Tensor? ddb, Tensor? dy, Tensor? x, Tensor? b, Tensor? "
    "y, int dim, str act, float alpha, float gain, float? clamp, bool need_db) -> (Tensor, "
    "Tensor, Tensor)",
    reference,
    fake=_double_fake,
    setup_context=_double_context,
    backward=_double_backward,
    triton="fastgan.ops.bias_act",
)
