"""attention: the mean of values by likeness. The maths is in this folder's README."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._define import define
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.attention import reference

__all__ = ["attention"]


def _backward(ops: Any, ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # Gradients are enabled here exactly if the caller differentiates once more (create_graph),
    # which torch's fused kernels can't.
    composed = torch.is_grad_enabled() or not reference.has_fused_kernels(grad)
    gradients = reference.composed_gradients if composed else reference.fused_gradients
    return gradients(grad, *ctx.saved_tensors, *ctx.settings)


define(
    "attention(Tensor q, Tensor k, Tensor v, float scale) -> Tensor",
    reference.fused_attention,
    fake=lambda q, k, v, scale: q.new_empty((*q.shape[:-1], v.shape[-1])),
    backward=_backward,
)


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, scale: float, backend: str | None = None
) -> Tensor:
    """Return softmax(scale·qkᵀ)·v, differentiable to any order.

    It runs :func:`torch.nn.functional.scaled_dot_product_attention`, whose fused kernels have a
    first derivative and no second. The backward pass takes them only where nothing differentiates
    it in turn; under a gradient penalty it is the formula. The layer is
    :class:`fastgan.layers.SelfAttention2d`.

    Args:
        q: ``[..., queries, d]``, of a floating dtype.
        k: ``[..., keys, d]``, of the dtype and device of ``q``.
        v: ``[..., keys, e]``, of the dtype and device of ``q``.
        scale: factor of the products; 1 in self-attention GANs (Zhang et al. 2019), ``d ** -0.5``
            in transformers.
        backend: as in :func:`fastgan.ops.bias_act`; ``reference`` is the formula, also for the
            first derivative.

    Returns:
        ``[..., queries, e]``.

    Raises:
        ValueError: the shapes don't fit each other.
        BackendUnavailable: the backend that was named cannot run here.
    """
    if (
        not q.ndim == k.ndim == v.ndim >= 2
        or not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
        or q.shape[-1] != k.shape[-1]
        or k.shape[-2] != v.shape[-2]
    ):
        raise ValueError(
            "q, k and v must be [..., queries, d], [..., keys, d] and [..., keys, e], "
            f"got {list(q.shape)}, {list(k.shape)} and {list(v.shape)}"
        )
    chosen = choose_backend("attention", q.device, backend)
    if chosen == "reference":
        return reference.attention(q, k, v, scale)
    result: Tensor = ops_of(chosen).attention(q, k, v, scale)
    return result
