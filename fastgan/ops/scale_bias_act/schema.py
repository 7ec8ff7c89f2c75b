"""Registration of scale_bias_act and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import CURVED
from fastgan.ops._layout import memory_format
from fastgan.ops._library import define
from fastgan.ops.scale_bias_act import reference

Gradients = tuple[Tensor | None, ...]


def slope_needs_input(act: str, clamp: float | None) -> bool:
    """Return True if the derivative depends on ``v``; else it is the gain everywhere."""
    return act != "linear" or clamp is not None


def _image_like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=memory_format(x))


def _fake_sums(
    like: Tensor, noise: Any, scale: bool, noise_too: bool, b: bool
) -> tuple[Tensor, ...]:
    n, c = like.shape[:2]
    return (
        like.new_empty((n, c) if scale else 0),
        like.new_empty(noise.shape if noise_too else 0),
        like.new_empty(c if b else 0),
    )


# ----------------------------------------------------------------------------------- forward


def _forward_fake(x: Tensor, *rest: Any) -> Tensor:
    return _image_like(x)


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, scale, noise, b, ctx.act, ctx.alpha, ctx.gain, ctx.clamp = inputs
    ctx.needs = [
        t is not None and ctx.needs_input_grad[i + 1] for i, t in enumerate((scale, noise, b))
    ]
    need_dscale, need_dnoise, _ = ctx.needs
    sloped = slope_needs_input(ctx.act, ctx.clamp)
    ctx.save_for_backward(
        x if sloped or need_dscale else None,
        scale,
        noise if sloped or need_dnoise else None,
        b if sloped else None,
    )


def _forward_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, scale, noise, b = ctx.saved_tensors
    dx, *sums = ops.scale_bias_act_backward(
        dy, x, scale, noise, b, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, *ctx.needs
    )
    return (dx, *(t if need else None for t, need in zip(sums, ctx.needs))) + (None,) * 4


define(
    "scale_bias_act(Tensor x, Tensor? scale, Tensor? noise, Tensor? b, str act, float alpha, "
    "float gain, float? clamp) -> Tensor",
    reference,
    fake=_forward_fake,
    setup_context=_forward_context,
    backward=_forward_backward,
    triton="fastgan.ops.scale_bias_act",
)


# -------------------------------------------------------------------------- first derivative


def _backward_fake(dy: Tensor, x: Any, scale: Any, noise: Any, *rest: Any) -> tuple[Tensor, ...]:
    return _image_like(dy), *_fake_sums(dy, noise, *rest[-3:])


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    dy, x, scale, noise, b, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, *ctx.has = inputs
    # A penalty on dx alone has no directions for the others, and nothing is computed for them.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dy, x, scale, noise, b)


def _backward_backward(ops: Any, ctx: Any, ddx: Tensor | None, *dd: Tensor | None) -> Gradients:
    dy, x, scale, noise, b = ctx.saved_tensors
    ddscale, ddnoise, ddb = (t if has else None for t, has in zip(dd, ctx.has))
    ddx = torch.zeros_like(dy) if ddx is None else ddx
    # The slope of a curved activation depends on v. Of others, only products with scale have second
    # derivatives.
    bends = ctx.act in CURVED
    _, *wanted = ctx.needs_input_grad[:5]
    need_dx = wanted[0] and x is not None and (bends or ddscale is not None)
    need_dscale = wanted[1] and scale is not None
    need_dnoise = wanted[2] and noise is not None and bends
    need_db = wanted[3] and b is not None and bends
    needs = (need_dx, need_dscale, need_dnoise, need_db)
    ddy, *rest = ops.scale_bias_act_double_backward(
        *(ddx, ddscale, ddnoise, ddb, dy, x, scale, noise, b),
        *(ctx.act, ctx.alpha, ctx.gain, ctx.clamp, *needs),
    )
    return (ddy, *(t if need else None for t, need in zip(rest, needs))) + (None,) * 7


define(
    "scale_bias_act_backward(Tensor dy, Tensor? x, Tensor? scale, Tensor? noise, Tensor? b, str "
    "act, float alpha, float gain, float? clamp, bool need_dscale, bool need_dnoise, bool "
    "need_db) -> (Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_backward_fake,
    setup_context=_backward_context,
    backward=_backward_backward,
    triton="fastgan.ops.scale_bias_act",
)


# ------------------------------------------------------------------------- second derivative


def _double_fake(
    ddx: Tensor,
    ddscale: Any,
    ddnoise: Any,
    ddb: Any,
    dy: Any,
    x: Any,
    scale: Any,
    noise: Any,
    *rest: Any,
) -> tuple[Tensor, ...]:
    need_dx, *sums = rest[-4:]
    dx = _image_like(ddx) if need_dx else ddx.new_empty(0)
    return _image_like(ddx), dx, *_fake_sums(ddx, noise, *sums)


def _double_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.act, ctx.alpha, ctx.gain, ctx.clamp = inputs[:-4]
    ctx.has = inputs[-4:]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)


def _double_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    """Third order, in plain torch, by the README's formulas.

    Its Q, G, A and B are ``to_q``, ``to_g``, ``in_h`` and ``in_v``.
    """
    ddx, ddscale, ddnoise, ddb, dy, x, scale, noise, b = ctx.saved_tensors
    s1, s2, s3 = reference.slopes(
        ddx, x, scale, noise, b, ctx.act, ctx.alpha, ctx.gain, ctx.clamp, orders=3
    )
    h = reference.direction(ddx, ddscale, ddnoise, ddb, x, scale)
    g, q = dy * s1, dy * s2 * h
    zero = torch.zeros_like(h)
    g1, g2, g3, g4, g5 = (t if has else None for t, has in zip(grads, (True, *ctx.has)))
    g1, g2 = (zero if t is None else t for t in (g1, g2))

    def times(t: Tensor, factor: Tensor | None, if_absent: Tensor) -> Tensor:
        return if_absent if factor is None else t * reference.per_channel(factor)

    to_q = reference.direction(g2, None if x is None else g3, g4, g5, x, scale)
    to_g = times(g2, ddscale, zero) + times(ddx, g3, zero)
    in_h = g1 * s1 + to_q * dy * s2
    in_v = g1 * s2 * h + to_q * dy * s3 * h + to_g * dy * s2
    found = (
        times(in_h, scale, in_h) + times(g, g3, zero),
        None if ddscale is None else reference.sum_to_scale(in_h * x + g * g2),
        None if ddnoise is None else reference.sum_to_noise(in_h, ddnoise),
        None if ddb is None else reference.sum_to_bias(in_h), to_q * s2 * h + to_g * s1,
        None if x is None
        else times(in_v, scale, in_v) + times(in_h, ddscale, zero) + times(q, g3, zero),
        None if scale is None
        else reference.sum_to_scale(in_h * ddx + q * g2 + (zero if x is None else in_v * x)),
        None if noise is None else reference.sum_to_noise(in_v, noise),
        None if b is None else reference.sum_to_bias(in_v),
    )  # fmt: skip
    return (*(None if t is None else t.to(ddx.dtype) for t in found), *(None,) * 8)


define(
    "scale_bias_act_double_backward(Tensor ddx, Tensor? ddscale, Tensor? ddnoise, Tensor? ddb, "
    "Tensor dy, Tensor? x, Tensor? scale, Tensor? noise, Tensor? b, str act, float alpha, float "
    "gain, float? clamp, bool need_dx, bool need_dscale, bool need_dnoise, bool need_db) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_double_fake,
    setup_context=_double_context,
    backward=_double_backward,
    triton="fastgan.ops.scale_bias_act",
)
