"""Registration of minibatch_stddev and its derivatives: schemas, fake kernels, autograd."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._derived import derived
from fastgan.ops._layout import memory_format
from fastgan.ops._library import OpDefinition, define, triton_of
from fastgan.ops.minibatch_stddev import reference

Gradients = tuple[Tensor | None, ...]

_triton = triton_of("fastgan.ops.minibatch_stddev")


def image_like(x: Tensor, more_channels: int = 0) -> Tensor:
    """Return an empty result for ``x``, in its layout."""
    n, c, h, w = x.shape
    if memory_format(x) == torch.channels_last:
        return x.new_empty(n, h, w, c + more_channels).permute(0, 3, 1, 2)
    return x.new_empty(n, c + more_channels, h, w)


def _forward_fake(x: Tensor, group_size: int, num_channels: int) -> Tensor:
    return image_like(x, num_channels)


def _forward_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.settings = inputs
    ctx.save_for_backward(x)


def _forward_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    return ops.minibatch_stddev_backward(dy, *ctx.saved_tensors, *ctx.settings), None, None


define(
    OpDefinition(
        schema="minibatch_stddev(Tensor x, int group_size, int num_channels) -> Tensor",
        reference=reference.minibatch_stddev,
        fake=_forward_fake,
        setup_context=_forward_context,
        backward=_forward_backward,
        triton=_triton("minibatch_stddev"),
    )
)


def _first_fake(dy: Tensor, x: Tensor, group_size: int, num_channels: int) -> Tensor:
    return image_like(x)


def _first_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, group_size, num_channels = inputs
    ctx.settings = group_size, num_channels
    ctx.save_for_backward(*tensors)


def _first_backward(ops: Any, ctx: Any, ddx: Tensor) -> Gradients:
    needs = ctx.needs_input_grad[:2]
    results = ops.minibatch_stddev_double_backward(ddx, *ctx.saved_tensors, *ctx.settings, *needs)
    return *(t if need else None for t, need in zip(results, needs)), None, None


define(
    OpDefinition(
        schema=(
            "minibatch_stddev_backward(Tensor dy, Tensor x, int group_size, int num_channels) "
            "-> Tensor"
        ),
        reference=reference.minibatch_stddev_backward,
        fake=_first_fake,
        setup_context=_first_context,
        backward=_first_backward,
        triton=_triton("minibatch_stddev_backward"),
    )
)


def _second_fake(
    ddx: Tensor,
    dy: Tensor,
    x: Tensor,
    group_size: int,
    num_channels: int,
    need_ddy: bool,
    need_dx: bool,
) -> tuple[Tensor, Tensor]:
    return (
        image_like(x, num_channels) if need_ddy else x.new_empty(0),
        image_like(x) if need_dx else x.new_empty(0),
    )


def _second_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    names = ("group_size", "num_channels", "need_ddy", "need_dx")
    ctx.settings = dict(zip(names, inputs[3:]))
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:3])


def _second_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    """Third order: autograd of the second derivative, in plain torch."""
    second = partial(reference.minibatch_stddev_double_backward, **ctx.settings)
    return *derived(second, ctx.saved_tensors, grads), None, None, None, None


define(
    OpDefinition(
        schema=(
            "minibatch_stddev_double_backward(Tensor ddx, Tensor dy, Tensor x, int group_size, int "
            "num_channels, "
            "bool need_ddy, bool need_dx) -> (Tensor, Tensor)"
        ),
        reference=reference.minibatch_stddev_double_backward,
        fake=_second_fake,
        setup_context=_second_context,
        backward=_second_backward,
        triton=_triton("minibatch_stddev_double_backward"),
    )
)
