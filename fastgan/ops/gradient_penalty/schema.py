"""Registration of the ops and their derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._library import define
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.gradient_penalty import reference
from fastgan.ops.gradient_penalty.reference import difference, inner, per_sample, result_like

Gradients = tuple[Tensor | None, ...]


def _wanted(like: Tensor, *needs: bool) -> list[Tensor]:
    return [result_like(like) if need else like.new_empty(0) for need in needs]


def _only(results: tuple[Tensor, ...], needs: tuple[bool, ...]) -> Gradients:
    return tuple(t if need else None for t, need in zip(results, needs))


def _samples(t: Tensor) -> Tensor:
    """Return an empty ``[N]`` in the accumulation dtype."""
    return t.new_empty(t.shape[0], dtype=accumulate_dtype(t.dtype))


# ------------------------------------------------------------------------------- lerp_samples


def _lerp_samples_fake(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    return result_like(real)


def _lerp_samples_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    real, fake, alpha = inputs
    both = (real, fake) if ctx.needs_input_grad[2] else (None, None)
    ctx.save_for_backward(*both, alpha)


def _lerp_samples_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    real, fake, alpha = ctx.saved_tensors
    needs = ctx.needs_input_grad
    return _only(ops.lerp_samples_backward(dy, real, fake, alpha, *needs), needs)


define(
    "lerp_samples(Tensor real, Tensor fake, Tensor alpha) -> Tensor",
    reference,
    fake=_lerp_samples_fake,
    setup_context=_lerp_samples_context,
    backward=_lerp_samples_backward,
    triton="fastgan.ops.gradient_penalty",
)


def _first_fake(dy: Tensor, real: Any, fake: Any, alpha: Any, *needs: bool) -> tuple[Tensor, ...]:
    return *_wanted(dy, *needs[:2]), dy.new_empty(dy.shape[0] if needs[2] else 0)


def _first_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, need_dreal, need_dfake, need_dalpha = inputs
    ctx.has = need_dreal, need_dfake, need_dalpha
    # Nothing is computed for directions that are absent.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)


def _first_backward(ops: Any, ctx: Any, *dd: Tensor | None) -> Gradients:
    dy, real, fake, alpha = ctx.saved_tensors
    ddreal, ddfake, ddalpha = (t if has else None for t, has in zip(dd, ctx.has))
    need_ddy, need_dreal, need_dfake, need_dalpha = ctx.needs_input_grad[:4]
    given = ddalpha is not None
    needs = (
        need_ddy,
        need_dreal and given,
        need_dfake and given,
        need_dalpha and (ddreal is not None or ddfake is not None),
    )
    results = ops.lerp_samples_double_backward(
        ddreal, ddfake, ddalpha, dy, real, fake, alpha, *needs
    )
    return _only(results, needs) + (None,) * 3


define(
    "lerp_samples_backward(Tensor dy, Tensor? real, Tensor? fake, Tensor alpha, bool need_dreal, "
    "bool need_dfake, bool need_dalpha) -> (Tensor, Tensor, Tensor)",
    reference,
    fake=_first_fake,
    setup_context=_first_context,
    backward=_first_backward,
    triton="fastgan.ops.gradient_penalty",
)


def _second_fake(
    ddreal: Any, ddfake: Any, ddalpha: Any, dy: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    needs = rest[-4:]
    return *_wanted(dy, *needs[:3]), dy.new_empty(dy.shape[0] if needs[3] else 0)


def _second_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.has = inputs[-4:]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:-4])


def _second_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    """Third order, in plain torch, by the README's formulas.

    Their e, r - f and t are ``e``, ``turn`` and ``t``.
    """
    a, b, c, dy, real, fake, alpha = ctx.saved_tensors
    zero = torch.zeros_like(dy)
    e, r, f, t = (g if has else None for g, has in zip(grads, ctx.has))
    e, r, f = (zero if g is None else g for g in (e, r, f))
    t = torch.zeros_like(alpha) if t is None else t
    turn = difference(r, f)
    weight, by_t = per_sample(alpha, dy), per_sample(t, dy) * dy
    in_dy = per_sample(t, dy) * difference(zero if a is None else a, zero if b is None else b)
    in_real = None
    in_c = None
    if c is not None:
        in_dy = in_dy + per_sample(c, dy) * turn
        in_real = None if real is None else per_sample(c, dy) * e
        in_c = (
            inner(dy, turn) if real is None else inner(dy, turn) + inner(e, difference(real, fake))
        )
    found = (
        None if a is None else weight * e + by_t,
        None if b is None else (1 - weight) * e - by_t,
        in_c,
        in_dy,
        in_real,
        None if in_real is None else -in_real,
        inner(e, difference(zero if a is None else a, zero if b is None else b)),
    )
    return (*(None if g is None else g.to(dy.dtype) for g in found), *(None,) * 4)


define(
    "lerp_samples_double_backward(Tensor? ddreal, Tensor? ddfake, Tensor? ddalpha, Tensor dy, "
    "Tensor? real, Tensor? fake, Tensor alpha, bool need_ddy, bool need_dreal, bool need_dfake, "
    "bool need_dalpha) -> (Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_second_fake,
    setup_context=_second_context,
    backward=_second_backward,
    triton="fastgan.ops.gradient_penalty",
)


# ------------------------------------------------------------------------- grad_norm_penalty


def _penalty_fake(grad: Tensor, center: float) -> tuple[Tensor, Tensor]:
    return _samples(grad), _samples(grad)


def _penalty_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    grad, ctx.center = inputs
    _, norm = output
    ctx.mark_non_differentiable(norm)
    ctx.save_for_backward(grad, norm)


def _penalty_backward(ops: Any, ctx: Any, dpenalty: Tensor, _: Tensor | None) -> Gradients:
    grad, norm = ctx.saved_tensors
    return ops.grad_norm_penalty_backward(dpenalty, grad, norm, ctx.center), None


define(
    "grad_norm_penalty(Tensor grad, float center) -> (Tensor, Tensor)",
    reference.grad_norm_penalty_with_norm,
    fake=_penalty_fake,
    setup_context=_penalty_context,
    backward=_penalty_backward,
    triton="fastgan.ops.gradient_penalty",
)


def _penalty_first_fake(dpenalty: Tensor, grad: Tensor, norm: Tensor, center: float) -> Tensor:
    return result_like(grad)


def _penalty_first_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.center = inputs
    ctx.save_for_backward(*tensors)


def _penalty_first_backward(ops: Any, ctx: Any, ddgrad: Tensor) -> Gradients:
    needs = ctx.needs_input_grad[:2]
    results = ops.grad_norm_penalty_double_backward(ddgrad, *ctx.saved_tensors, ctx.center, *needs)
    # The gradient of grad includes the one through norm.
    return (*_only(results, needs), None, None)


define(
    "grad_norm_penalty_backward(Tensor dpenalty, Tensor grad, Tensor norm, float center) -> Tensor",
    reference,
    fake=_penalty_first_fake,
    setup_context=_penalty_first_context,
    backward=_penalty_first_backward,
    triton="fastgan.ops.gradient_penalty",
)


def _penalty_second_fake(
    ddgrad: Tensor, dpenalty: Tensor, grad: Tensor, norm: Tensor, center: float,
    need_ddpenalty: bool, need_dgrad: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    (dgrad,) = _wanted(grad, need_dgrad)
    return norm.new_empty(norm.shape[0] if need_ddpenalty else 0), dgrad


def _penalty_second_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ddgrad, dpenalty, grad, _, ctx.center, *ctx.has = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(ddgrad, dpenalty, grad)


def _penalty_second_backward(ops: Any, ctx: Any, g1: Tensor | None, g2: Tensor | None) -> Gradients:
    """Third order, in plain torch, by the README's formulas, whose k is ``bend``."""
    ddgrad, dpenalty, grad = ctx.saved_tensors
    need_ddpenalty, need_dgrad = ctx.has
    g1 = g1 if g1 is not None and need_ddpenalty else torch.zeros_like(dpenalty)
    g2 = g2 if g2 is not None and need_dgrad else torch.zeros_like(grad)
    zero, norm = reference.safe_norm(grad)
    keep, bend = torch.ones_like(norm), torch.zeros_like(norm)
    if ctx.center != 0:
        keep = torch.where(zero, bend, 1 - ctx.center / norm)
        bend = torch.where(zero, bend, ctx.center / norm**3)
    d, e, f = inner(grad, ddgrad), inner(g2, ddgrad), inner(g2, grad)
    both = 2 * (g1 * keep + dpenalty * bend * f)
    twist = 2 * bend * (g1 * d + dpenalty * e - 3 * dpenalty * d * f / norm**2)

    def times(weight: Tensor, t: Tensor) -> Tensor:
        return per_sample(weight, t) * t

    in_ddgrad = times(both, grad) + times(2 * dpenalty * keep, g2)
    in_grad = times(twist, grad) + times(both, ddgrad) + times(2 * dpenalty * bend * d, g2)
    in_dpenalty = 2 * (keep * e + bend * d * f)
    return (in_ddgrad.to(grad.dtype), in_dpenalty, in_grad.to(grad.dtype)) + (None,) * 4


define(
    "grad_norm_penalty_double_backward(Tensor ddgrad, Tensor dpenalty, Tensor grad, Tensor norm, "
    "float center, bool need_ddpenalty, bool need_dgrad) -> (Tensor, Tensor)",
    reference,
    fake=_penalty_second_fake,
    setup_context=_penalty_second_context,
    backward=_penalty_second_backward,
    triton="fastgan.ops.gradient_penalty",
)
