"""Registration of attention: schema, fake kernel, autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._library import define
from fastgan.ops.attention import reference


def _fake(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    return q.new_empty((*q.shape[:-1], v.shape[-1]))


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.scale = inputs
    ctx.save_for_backward(*tensors)


def _backward(ops: Any, ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    # Gradients are enabled here exactly if the caller differentiates once more (create_graph),
    # which torch's fused kernels can't.
    composed = torch.is_grad_enabled() or not reference.has_fused_kernels(grad)
    gradients = reference.composed_gradients if composed else reference.fused_gradients
    q, k, v = ctx.saved_tensors
    return *gradients(grad, q, k, v, ctx.scale), None


define(
    "attention(Tensor q, Tensor k, Tensor v, float scale) -> Tensor",
    reference.fused_attention,
    fake=_fake,
    setup_context=_context,
    backward=_backward,
)
