"""Registration of bias_act and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import CURVED
from fastgan.ops._define import define
from fastgan.ops._derived import derived
from fastgan.ops.bias_act import reference

Gradients = tuple[Tensor | None, ...]

_SETTINGS = "int dim, str act, float alpha, float gain, float? clamp"


def saves_input(act: str, alpha: float) -> bool:
    """Return True if the derivative needs ``x + b``.

    Piecewise linear activations take their slope from the sign of the output.
    """
    return act in CURVED or (act == "lrelu" and alpha < 0)


def saves_output(act: str, alpha: float, clamp: float | None) -> bool:
    """Return True if the derivative needs the output."""
    return not saves_input(act, alpha) and (act != "linear" or clamp is not None)


# ----------------------------------------------------------------------------------- forward


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, b, *ctx.settings = inputs
    _, act, alpha, _, clamp = ctx.settings
    keep_input = saves_input(act, alpha)
    ctx.save_for_backward(
        x if keep_input else None,
        b if keep_input else None,
        output if saves_output(act, alpha, clamp) else None,
    )


def _forward_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, b, y = ctx.saved_tensors
    dim, act, _, gain, clamp = ctx.settings
    need_db = ctx.needs_input_grad[1]
    if act == "linear" and clamp is None and gain == 1:
        return dy, reference.sum_to_bias(dy, dim) if need_db else None
    if y is not None:
        # Its sign is constant. Attached, the second derivative would run this pass again on zeros.
        y = y.detach()
    dx, db = ops.bias_act_backward(dy, x, b, y, *ctx.settings, need_db)
    return dx, db if need_db else None


define(
    f"bias_act(Tensor x, Tensor? b, {_SETTINGS}) -> Tensor",
    reference,
    fake=lambda x, *rest: torch.empty_like(x),
    setup_context=_forward_context,
    backward=_forward_backward,
    triton="fastgan.ops.bias_act",
)


# -------------------------------------------------------------------------- first derivative


def _backward_fake(dy: Tensor, x: Any, b: Any, y: Any, dim: int, *rest: Any) -> Gradients:
    return torch.empty_like(dy), dy.new_empty(dy.shape[dim] if rest[-1] else 0)


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    dy, x, b, y, *ctx.settings, ctx.has_db = inputs
    ctx.save_for_backward(dy if ctx.settings[1] in CURVED else None, x, b, y)


def _backward_backward(ops: Any, ctx: Any, ddx: Tensor, ddb: Tensor) -> Gradients:
    dy, _, b, _ = ctx.saved_tensors
    curved = dy is not None
    need_db = curved and b is not None and ctx.needs_input_grad[2]
    ddy, dx, db = ops.bias_act_double_backward(
        ddx, ddb if ctx.has_db else None, *ctx.saved_tensors, *ctx.settings, need_db
    )
    return ddy, dx if curved else None, db if need_db else None


define(
    f"bias_act_backward(Tensor dy, Tensor? x, Tensor? b, Tensor? y, {_SETTINGS}, bool need_db) -> "
    "(Tensor, Tensor)",
    reference,
    fake=_backward_fake,
    setup_context=_backward_context,
    backward=_backward_backward,
    triton="fastgan.ops.bias_act",
)


# ------------------------------------------------------------------------- second derivative


def _double_fake(
    ddx: Tensor, ddb: Any, dy: Any, x: Any, b: Any, y: Any, dim: int, *rest: Any
) -> Gradients:
    dx = torch.empty_like(ddx) if dy is not None else ddx.new_empty(0)
    return torch.empty_like(ddx), dx, ddx.new_empty(ddx.shape[dim] if rest[-1] else 0)


def _double_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ddx, ddb, dy, x, b, y, *ctx.settings = inputs
    curved = dy is not None
    ctx.save_for_backward(ddx if curved else None, ddb if curved else None, dy, x, b, y)


def _double_backward(ops: Any, ctx: Any, *grads: Tensor) -> Gradients:
    """Third order: kernels for piecewise linear activations, autograd of the formula for others."""
    _, _, dy, x, b, y = ctx.saved_tensors
    *settings, _ = ctx.settings
    if dy is None:
        need_ddb = ctx.needs_input_grad[1]
        to_h, to_ddb = ops.bias_act_backward(grads[0], x, b, y, *settings, need_ddb)
        return to_h, to_ddb if need_ddb else None
    formula = reference.bias_act_double_backward
    return derived(lambda *t: formula(*t, *ctx.settings), ctx.saved_tensors, grads)


define(
    "bias_act_double_backward(Tensor ddx, Tensor? ddb, Tensor? dy, Tensor? x, Tensor? b, Tensor? "
    f"y, {_SETTINGS}, bool need_db) -> (Tensor, Tensor, Tensor)",
    reference,
    fake=_double_fake,
    setup_context=_double_context,
    backward=_double_backward,
    triton="fastgan.ops.bias_act",
)
