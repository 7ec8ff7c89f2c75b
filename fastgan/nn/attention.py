"""Self-attention over the positions of feature maps (Zhang et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.nn.conv2d import Conv2d
from fastgan.ops._library import choose_backend


def _attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, scale=scale).contiguous()


def _fake(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    return q.new_empty((*q.shape[:-1], v.shape[-1]))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.scale = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    # Gradients are on here exactly if the caller wants to differentiate once more (create_graph), which torch's fused
    # kernels can't.
    composed = torch.is_grad_enabled() or not _has_fused_kernels(grad)
    derivative = composed_gradients if composed else fused_gradients
    q, k, v = ctx.saved_tensors
    return *derivative(grad, q, k, v, ctx.scale), None


# Not by torch.library.custom_op, which imports torch._dynamo, and that takes as long as torch.
_library = torch.library.Library("fastgan", "FRAGMENT")
_library.define(
    "attention(Tensor q, Tensor k, Tensor v, float scale) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_library.impl("attention", _attention, "CompositeExplicitAutograd")
torch.library.register_fake("fastgan::attention", _fake, lib=_library)
torch.library.register_autograd("fastgan::attention", _backward, setup_context=_save, lib=_library)


def _has_fused_kernels(tensor: Tensor) -> bool:
    """Whether torch has some for its device; a CPU's take no values of another length than the keys."""
    return tensor.is_cuda


def composed_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients in q, k and v from a `grad` in the result, by differentiable operations.

    With P = softmax(scale·qkᵀ), dP = grad·vᵀ and dS = scale·P ⊙ (dP - Σ P ⊙ dP): dq = dS·k, dk = dSᵀ·q, dv = Pᵀ·grad.
    """
    dtype = q.dtype
    grad, q, k, v = (t.to(torch.promote_types(dtype, torch.float32)) for t in (grad, q, k, v))
    p = (q @ k.mT * scale).softmax(-1)
    dp = grad @ v.mT
    ds = p * (dp - (p * dp).sum(-1, keepdim=True)) * scale
    return (ds @ k).to(dtype), (ds.mT @ q).to(dtype), (p.mT @ grad).to(dtype)


def fused_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same by torch's fused kernels, where there are any: no [queries, keys] in memory, nothing to differentiate."""
    with torch.enable_grad():
        q, k, v = (t.detach().requires_grad_() for t in (q, k, v))
        result = F.scaled_dot_product_attention(q, k, v, scale=scale)
        dq, dk, dv = torch.autograd.grad(result, (q, k, v), grad)
    return dq, dk, dv


def attention(q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> Tensor:
    """softmax(scale·qkᵀ)·v by :func:`torch.nn.functional.scaled_dot_product_attention`, differentiable to any order.

    Torch's fused kernels have a first derivative and no second. Here the backward pass takes them only where nothing
    differentiates it in turn; under a gradient penalty it is the formula.

    Args:
        q: ``[..., queries, d]``. k: ``[..., keys, d]``. v: ``[..., keys, e]``. Of one floating dtype and device.
        scale: of the products; 1 in self-attention GANs, ``d ** -0.5`` in transformers.

    Returns:
        ``[..., queries, e]``.

    Raises:
        ValueError: shapes that don't fit.
    """
    if (
        not q.ndim == k.ndim == v.ndim >= 2
        or not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
        or q.shape[-1] != k.shape[-1]
        or k.shape[-2] != v.shape[-2]
    ):
        raise ValueError(
            f"q, k and v must be [..., queries, d], [..., keys, d] and [..., keys, e], got {list(q.shape)}, {list(k.shape)} "
            f"and {list(v.shape)}"
        )
    if (
        choose_backend("attention", q.device, None) == "reference"
    ):  # by name, or for functorch, which can't look into ops
        return (q @ k.mT * scale).softmax(-1) @ v
    result: Tensor = torch.ops.fastgan.attention(q, k, v, scale)
    return result


class SelfAttention2d(nn.Module):
    """x + γ·attention(x): every position takes of all others what is like it (Zhang et al. 2019, section 3, figure 2).

    Queries and keys have C/8 channels, values C/2, all by 1×1 convolutions without bias; keys and values are max-pooled 2×2,
    which quarters the work, as in the authors' networks and BigGAN's (Brock et al. 2019). γ is learned from 0: at the start
    the layer changes nothing. It works under gradient penalties: see :func:`fastgan.nn.attention.attention`.

    Args:
        channels: C, at least 1; a share of it is at least one channel.

    Shape:
        ``[N, C, H, W]``, H and W at least 2 → the same.

    Raises:
        ValueError: ``channels`` is out of range.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        keys, values = max(1, channels // 8), max(1, channels // 2)
        self.query = Conv2d(channels, keys, 1, bias=False)
        self.key = Conv2d(channels, keys, 1, bias=False)
        self.value = Conv2d(channels, values, 1, bias=False)
        self.out = Conv2d(values, channels, 1, bias=False)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), F.max_pool2d(self.key(x), 2), F.max_pool2d(self.value(x), 2)
        taken = attention(*(t.flatten(2).mT.contiguous() for t in (q, k, v)), scale=1.0)
        return x + self.gain * self.out(taken.mT.unflatten(2, x.shape[2:]))
