"""Registration of adaptive_norm and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import CURVED, slope_needs_input
from fastgan.ops._layout import memory_format
from fastgan.ops._library import define
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.adaptive_norm import reference

Gradients = tuple[Tensor | None, ...]

_SETTINGS = "str over, float eps, str act, float alpha, float gain, float? clamp"
_NORM = "Tensor x, Tensor? scale, Tensor? shift, Tensor mean, Tensor var"


def _image_like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=memory_format(x))


def _has_maps(scale: Tensor | None, shift: Tensor | None) -> bool:
    return any(t is not None and t.ndim == 4 for t in (scale, shift))


def _fake_parameters(
    like: Tensor, scale: bool, shift: bool, stats: bool, *, maps: bool = False
) -> tuple[Tensor, ...]:
    n, c = like.shape[:2]
    wide = accumulate_dtype(like.dtype)
    if maps:
        modulation = [
            _image_like(like) if wanted else like.new_empty(0) for wanted in (scale, True)
        ]
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
    return _image_like(x), *found  # type: ignore[return-value]


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, scale, shift, mean, var, _, *ctx.settings = inputs
    over, _, act, _, _, clamp = ctx.settings
    ctx.set_materialize_grads(False)
    stats = (mean, var) if over == "given" else output[1:]
    ctx.has = scale is not None, shift is not None, over == "given"
    ctx.save_for_backward(x, scale, shift if slope_needs_input(act, clamp) else None, *stats)


def _forward_backward(ops: Any, ctx: Any, dy: Tensor | None, *unused: Tensor | None) -> Gradients:
    if dy is None:
        return (None,) * 12
    x, scale, shift, mean, var = ctx.saved_tensors
    if ctx.settings[0] != "given":
        # The derivatives take them as functions of x.
        mean, var = mean.detach(), var.detach()
    _, scale_too, shift_too, *stats = ctx.needs_input_grad[:5]
    has_scale, has_shift, given = ctx.has
    needs = (has_scale and scale_too, has_shift and shift_too, given and any(stats))
    dx, *rest = ops.adaptive_norm_backward(dy, x, scale, shift, mean, var, *ctx.settings, *needs)
    dresidual = dy if ctx.needs_input_grad[5] else None
    return (dx, *_only(rest, (*needs, needs[2])), dresidual) + (None,) * 6


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
    return _image_like(dy), *_fake_parameters(dy, *rest[-3:], maps=_has_maps(scale, shift))


def _first_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, need_dscale, need_dshift, need_dstats = inputs
    ctx.settings = tensors[6:]
    ctx.needs = need_dscale, need_dshift, need_dstats
    ctx.has = need_dscale, need_dshift, need_dstats, need_dstats
    # A penalty on dx alone has no directions for the others.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors[:6])


def _first_backward(ops: Any, ctx: Any, ddx: Tensor | None, *dd: Tensor | None) -> Gradients:
    dy, x, scale, shift, mean, var = ctx.saved_tensors
    if _has_maps(scale, shift):
        return _in_plain_torch(ctx, (ddx, *dd))
    directions = _only(dd, ctx.has)
    ddx = torch.zeros_like(dy) if ddx is None else ddx
    over, _, act, *_ = ctx.settings
    bends = act in CURVED
    turns = bends or over != "given" or directions[0] is not None or directions[3] is not None
    _, x_too, scale_too, shift_too, *stats = ctx.needs_input_grad[:6]
    needs = (
        x_too and turns,
        scale_too and scale is not None,
        shift_too and shift is not None and bends,
        over == "given" and any(stats),
    )
    ddy, *rest = ops.adaptive_norm_double_backward(
        ddx, *directions, dy, x, scale, shift, mean, var, *ctx.settings, *needs
    )
    return (ddy, *_only(rest, (*needs, needs[3]))) + (None,) * 9


define(
    f"adaptive_norm_backward(Tensor dy, {_NORM}, {_SETTINGS}, bool need_dscale, bool need_dshift, "
    "bool need_dstats) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_first_fake,
    setup_context=_first_context,
    backward=_first_backward,
    triton="fastgan.ops.adaptive_norm",
)


def _in_plain_torch(ctx: Any, grads: tuple[Tensor | None, ...]) -> Gradients:
    """Second derivative for maps of scale and shift: autograd of the first, in plain torch."""
    over = ctx.settings[0]
    with torch.enable_grad():
        inputs = _leaves(ctx.saved_tensors)
        stats: Any = inputs[4:] if over == "given" else reference.moments(_given(inputs[1]), over)
        arguments: tuple[Any, ...] = (*inputs[:4], *stats, *ctx.settings, *ctx.needs)
        results = reference.adaptive_norm_backward(*arguments)
    return (*_derivative(results, grads, inputs), *(None for _ in range(9)))


def _given(x: Tensor | None) -> Tensor:
    assert x is not None
    return x


def _leaves(saved: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return views of the inputs that require gradients.

    As views, inputs that depend on each other count once, and later derivatives pass through them.
    """
    return [
        None if t is None else t.view_as(t) if t.requires_grad else t.detach().requires_grad_()
        for t in saved
    ]


def _derivative(
    results: Sequence[Tensor], grads: Sequence[Tensor | None], inputs: Sequence[Tensor | None]
) -> Gradients:
    """Return autograd's gradients in the inputs that the results were computed from."""
    pairs = [(r, g) for r, g in zip(results, grads) if g is not None and r.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    wanted = [t for t in inputs if t is not None]
    found = iter(
        torch.autograd.grad(
            [r for r, _ in pairs], wanted, [g for _, g in pairs],
            create_graph=torch.is_grad_enabled(), allow_unused=True,
        )
    )  # fmt: skip
    return tuple(None if t is None else next(found) for t in inputs)


# ------------------------------------------------------------------------- second derivative


def _second_fake(ddx: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    need_dx, *others = rest[-4:]
    dx = _image_like(ddx) if need_dx else ddx.new_empty(0)
    return _image_like(ddx), dx, *_fake_parameters(ddx, *others)


def _second_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.settings, ctx.needs = inputs[11:17], inputs[17:]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:11])


def _second_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    """Third order: autograd of the second derivative, in plain torch."""
    over = ctx.settings[0]
    with torch.enable_grad():
        inputs = _leaves(ctx.saved_tensors)
        stats: Any = inputs[9:] if over == "given" else reference.moments(_given(inputs[6]), over)
        arguments: tuple[Any, ...] = (*inputs[:9], *stats, *ctx.settings, *ctx.needs)
        results = reference.adaptive_norm_double_backward(*arguments)
    return (*_derivative(results, grads, inputs), *(None for _ in range(10)))


define(
    "adaptive_norm_double_backward(Tensor ddx, Tensor? ddscale, Tensor? ddshift, Tensor? ddmean, "
    f"Tensor? ddvar, Tensor dy, {_NORM}, {_SETTINGS}, bool need_dx, bool need_dscale, bool "
    "need_dshift, bool need_dstats) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference,
    fake=_second_fake,
    setup_context=_second_context,
    backward=_second_backward,
    triton="fastgan.ops.adaptive_norm",
)
