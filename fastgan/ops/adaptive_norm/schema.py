"""Registration of adaptive_norm and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import CURVED, slope_needs_input
from fastgan.ops._define import define
from fastgan.ops._derived import derived
from fastgan.ops._layout import image_like
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.adaptive_norm import reference

Gradients = tuple[Tensor | None, ...]

_SETTINGS = "str over, float eps, str act, float alpha, float gain, float? clamp"
_NORM = "Tensor x, Tensor? scale, Tensor? shift, Tensor mean, Tensor var"


def _has_maps(scale: Tensor | None, shift: Tensor | None) -> bool:
    return any(t is not None and t.ndim == 4 for t in (scale, shift))


def _fake_parameters(
    like: Tensor, scale: bool, shift: bool, stats: bool, *, maps: bool = False
) -> tuple[Tensor, ...]:
    n, c = like.shape[:2]
    wide = accumulate_dtype(like.dtype)
    if maps:
        modulation = [image_like(like) if wanted else like.new_empty(0) for wanted in (scale, True)]
    else:
        modulation = [like.new_empty((n, c) if wanted else 0) for wanted in (scale, shift)]
    return *modulation, *(like.new_empty((n, c) if stats else 0, dtype=wide) for _ in range(2))


def _only(found: Sequence[Tensor | None], needs: Sequence[bool]) -> Gradients:
    return tuple(t if need else None for t, need in zip(found, needs))


# ----------------------------------------------------------------------------------- forward


def _forward_fake(
    x: Tensor, scale: Any, shift: Any, mean: Any, var: Any, residual: Any, over: str, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    n, c = x.shape[:2]
    shape: Any = {"given": 0, "sample": (n, c), "batch": (1, c)}[over]
    found = (x.new_empty(shape, dtype=accumulate_dtype(x.dtype)) for _ in range(2))
    return image_like(x), *found  # type: ignore[return-value]


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, scale, shift, mean, var, _, *ctx.settings = inputs
    over, _, act, _, _, clamp = ctx.settings
    ctx.set_materialize_grads(False)
    stats = (mean, var) if over == "given" else output[1:]
    ctx.save_for_backward(x, scale, shift if slope_needs_input(act, clamp) else None, *stats)


def _forward_backward(ops: Any, ctx: Any, dy: Tensor | None, *unused: Tensor | None) -> Gradients:
    if dy is None:
        return ()
    x, scale, shift, mean, var = ctx.saved_tensors
    if ctx.settings[0] != "given":
        # The derivatives take them as functions of x.
        mean, var = mean.detach(), var.detach()
    _, need_dscale, need_dshift, *stats, need_dresidual = ctx.needs_input_grad[:6]
    needs = need_dscale, need_dshift, any(stats)
    dx, *rest = ops.adaptive_norm_backward(dy, x, scale, shift, mean, var, *ctx.settings, *needs)
    return dx, *_only(rest, (*needs, needs[2])), dy if need_dresidual else None


define(
    "adaptive_norm(Tensor x, Tensor? scale, Tensor? shift, Tensor? mean, Tensor? var, Tensor? "
    f"residual, {_SETTINGS}) -> (Tensor, Tensor, Tensor)",
    reference,
    fake=_forward_fake,
    setup_context=_forward_context,
    backward=_forward_backward,
    triton="fastgan.ops.adaptive_norm",
)


# -------------------------------------------------------------------------- first derivative


def _first_fake(dy: Tensor, x: Tensor, scale: Any, shift: Any, *rest: Any) -> tuple[Tensor, ...]:
    return image_like(dy), *_fake_parameters(dy, *rest[-3:], maps=_has_maps(scale, shift))


def _in_plain_torch(formula: Callable[..., Any], ctx: Any, *grads: Tensor | None) -> Gradients:
    """Return autograd's derivative of a formula, whose last tensors are x, ..., mean and var."""

    def results_of(*tensors: Any) -> Any:
        if (over := ctx.settings[0]) != "given":
            tensors = (*tensors[:-2], *reference.moments(tensors[-5], over))
        return formula(*tensors, *ctx.settings)

    return derived(results_of, ctx.saved_tensors, grads)


def _first_backward(ops: Any, ctx: Any, ddx: Tensor | None, *dd: Tensor | None) -> Gradients:
    dy, x, scale, shift, mean, var = ctx.saved_tensors
    if _has_maps(scale, shift):
        return _in_plain_torch(reference.adaptive_norm_backward, ctx, ddx, *dd)
    *settings, need_dscale, need_dshift, need_dstats = ctx.settings
    directions = _only(dd, (need_dscale, need_dshift, need_dstats, need_dstats))
    ddx = torch.zeros_like(dy) if ddx is None else ddx
    over, _, act, *_ = settings
    bends = act in CURVED
    turns = bends or over != "given" or directions[0] is not None or directions[3] is not None
    _, x_too, scale_too, shift_too, *stats = ctx.needs_input_grad[:6]
    needs = (
        x_too and turns,
        scale_too,
        shift_too and bends,
        over == "given" and any(stats),
    )
    ddy, *rest = ops.adaptive_norm_double_backward(
        ddx, *directions, dy, x, scale, shift, mean, var, *settings, *needs
    )
    return ddy, *_only(rest, (*needs, needs[3]))


define(
    f"adaptive_norm_backward(Tensor dy, {_NORM}, {_SETTINGS}, bool need_dscale, bool need_dshift, "
    "bool need_dstats) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_first_fake,
    # A penalty on dx alone has no directions for the others.
    materialize=False,
    backward=_first_backward,
    triton="fastgan.ops.adaptive_norm",
)


# ------------------------------------------------------------------------- second derivative


def _second_fake(ddx: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    need_dx, *others = rest[-4:]
    dx = image_like(ddx) if need_dx else ddx.new_empty(0)
    return image_like(ddx), dx, *_fake_parameters(ddx, *others)


define(
    "adaptive_norm_double_backward(Tensor ddx, Tensor? ddscale, Tensor? ddshift, Tensor? ddmean, "
    f"Tensor? ddvar, Tensor dy, {_NORM}, {_SETTINGS}, bool need_dx, bool need_dscale, bool "
    "need_dshift, bool need_dstats) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_second_fake,
    materialize=False,
    # Third order.
    backward=lambda ops, ctx, *grads: _in_plain_torch(
        reference.adaptive_norm_double_backward, ctx, *grads
    ),
    triton="fastgan.ops.adaptive_norm",
)
