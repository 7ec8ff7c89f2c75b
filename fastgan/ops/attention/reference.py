"""attention in plain PyTorch: the formula, its gradients, and torch's fused kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Return softmax(scale·qkᵀ)·v by the formula; any order of derivative by autograd."""
    return (q @ k.mT * scale).softmax(-1) @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Return the same by torch's fused kernels, in contiguous memory."""
    return F.scaled_dot_product_attention(q, k, v, scale=scale).contiguous()


def composed_gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients in q, k and v for ``grad``, by differentiable operations.

    With P = softmax(scale·qkᵀ), dP = grad·vᵀ and dS = scale·P ⊙ (dP - Σ P ⊙ dP): dq = dS·k,
    dk = dSᵀ·q, dv = Pᵀ·grad. Half types are computed in float32.
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
    """Return the same by torch's fused kernels, which have no second derivative.

    They keep no ``[queries, keys]`` matrix in memory.
    """
    with torch.enable_grad():
        q, k, v = (t.detach().requires_grad_() for t in (q, k, v))
        result = F.scaled_dot_product_attention(q, k, v, scale=scale)
        dq, dk, dv = torch.autograd.grad(result, (q, k, v), grad)
    return dq, dk, dv


def has_fused_kernels(tensor: Tensor) -> bool:
    """Return True if torch has fused kernels for the tensor's device.

    Those of a CPU take no values of another length than the keys.
    """
    return tensor.is_cuda
