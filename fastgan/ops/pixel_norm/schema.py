"""Registration of pixel_norm and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._derived import derived
from fastgan.ops._library import OpDefinition, define, triton_of
from fastgan.ops.pixel_norm import reference

Gradients = tuple[Tensor | None, ...]

_triton = triton_of("fastgan.ops.pixel_norm")


def _forward_fake(x: Tensor, dim: int, eps: float) -> Tensor:
    return torch.empty_like(x)


def _forward_reference(x: Tensor, dim: int, eps: float) -> Tensor:
    return reference.in_order(reference.pixel_norm(x, dim, eps), x)


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.settings = inputs
    ctx.save_for_backward(x)


def _forward_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    return ops.pixel_norm_backward(dy, *ctx.saved_tensors, *ctx.settings), None, None


define(
    OpDefinition(
        schema="pixel_norm(Tensor x, int dim, float eps) -> Tensor",
        reference=_forward_reference,
        fake=_forward_fake,
        setup_context=_forward_context,
        backward=_forward_backward,
        triton=_triton("pixel_norm"),
    )
)


def _first_fake(dy: Tensor, x: Tensor, dim: int, eps: float) -> Tensor:
    return torch.empty_like(x)


def _first_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, dim, eps = inputs
    ctx.settings = dim, eps
    ctx.save_for_backward(*tensors)


def _first_backward(ops: Any, ctx: Any, ddx: Tensor) -> Gradients:
    needs = ctx.needs_input_grad[:2]
    results = ops.pixel_norm_double_backward(ddx, *ctx.saved_tensors, *ctx.settings, *needs)
    return *(t if need else None for t, need in zip(results, needs)), None, None


define(
    OpDefinition(
        schema="pixel_norm_backward(Tensor dy, Tensor x, int dim, float eps) -> Tensor",
        reference=reference.pixel_norm_backward,
        fake=_first_fake,
        setup_context=_first_context,
        backward=_first_backward,
        triton=_triton("pixel_norm_backward"),
    )
)


def _second_fake(
    ddx: Tensor, dy: Tensor, x: Tensor, dim: int, eps: float, *needs: bool
) -> tuple[Tensor, Tensor]:
    ddy, dx = (torch.empty_like(x) if need else x.new_empty(0) for need in needs)
    return ddy, dx


def _second_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.settings = dict(zip(("dim", "eps", "need_ddy", "need_dx"), inputs[3:]))
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:3])


def _second_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    """Third order: autograd of the second derivative, in plain torch."""
    second = partial(reference.pixel_norm_double_backward, **ctx.settings)
    return *derived(second, ctx.saved_tensors, grads), None, None, None, None


define(
    OpDefinition(
        schema=(
            "pixel_norm_double_backward(Tensor ddx, Tensor dy, Tensor x, int dim, float eps, bool "
            "need_ddy, bool need_dx) "
            "-> (Tensor, Tensor)"
        ),
        reference=reference.pixel_norm_double_backward,
        fake=_second_fake,
        setup_context=_second_context,
        backward=_second_backward,
        triton=_triton("pixel_norm_double_backward"),
    )
)
