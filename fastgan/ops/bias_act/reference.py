"""bias_act in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._activations import activation, derivative
from fastgan.ops._numerics import accumulate_dtype, below_clamp


def broadcast(b: Tensor, like: Tensor, dim: int) -> Tensor:
    """Shape ``b[C]`` to broadcast along dimension ``dim`` of ``like``."""
    return b.reshape([-1 if i == dim else 1 for i in range(like.ndim)])


def sum_to_bias(t: Tensor, dim: int) -> Tensor:
    """Sum over every dimension but ``dim``: the adjoint of :func:`broadcast`."""
    others = [i for i in range(t.ndim) if i != dim]
    return t.sum(others) if others else t.clone()


def pre_activation(x: Tensor, b: Tensor | None, dim: int) -> Tensor:
    """Return ``v = x + b`` in the accumulation dtype."""
    v = x.to(accumulate_dtype(x.dtype))
    return v if b is None else v + broadcast(b.to(v.dtype), v, dim)


def bias_act(
    x: Tensor, b: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float | None
) -> Tensor:
    """Return ``clamp(gain · act(x + b))``, rounded once to the dtype of ``x``.

    Autograd gives derivatives of any order.
    """
    y = (activation(pre_activation(x, b, dim), act, alpha) * gain).to(x.dtype)
    if clamp is not None:
        # No gradient flows where |y| reaches the clamp.
        y = torch.where(below_clamp(y, clamp), y, y.detach().clamp(-clamp, clamp))
    return y


# The derivatives written out: they stand in for missing native kernels, and give the third order.


def slope(
    x: Tensor | None, b: Tensor | None, y: Tensor | None, like: Tensor, dim: int, act: str,
    alpha: float, gain: float, clamp: float | None, order: int = 1,
) -> Tensor:  # fmt: skip
    """Return ``gain · act^(order)(x + b)``, zero where the clamp is active.

    Args:
        x: the input, or None to take the slope from the output ``y``.
        like: source of shape and dtype if neither is needed: ``linear`` without clamp.
    """
    acc = accumulate_dtype(like.dtype)
    if x is not None:
        v = pre_activation(x, b, dim)
        if clamp is not None:
            y = bias_act(x.detach(), None if b is None else b.detach(), dim, act, alpha, gain, None)
    elif y is not None:
        # Piecewise linear: the sign of the output is that of v times that of gain.
        v = y.to(acc) * (1.0 if gain >= 0 else -1.0)
    else:
        v = torch.ones_like(like, dtype=acc)
    s = derivative(v, act, alpha, order) * gain
    if clamp is not None and y is not None:
        s = torch.where(below_clamp(y, clamp), s, torch.zeros_like(s))
    return s


def bias_act_backward(
    dy: Tensor, x: Tensor | None, b: Tensor | None, y: Tensor | None, dim: int, act: str,
    alpha: float, gain: float, clamp: float | None, need_db: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return ``dx = dy · slope`` and ``db = Σ dx``, which is empty unless ``need_db``."""
    dx = dy * slope(x, b, y, dy, dim, act, alpha, gain, clamp)
    db = sum_to_bias(dx, dim).to(dy.dtype) if need_db else dy.new_empty(0)
    return dx.to(dy.dtype), db


def bias_act_double_backward(
    ddx: Tensor, ddb: Tensor | None, dy: Tensor | None, x: Tensor | None, b: Tensor | None,
    y: Tensor | None, dim: int, act: str, alpha: float, gain: float, clamp: float | None,
    need_db: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return ``ddy = h · slope``, ``dx = h · dy · slope'`` and ``db = Σ dx``; ``h = ddx + ddb``.

    ``dx`` and ``db`` are empty for activations without curvature, whose ``dy`` is None.
    """
    h = pre_activation(ddx, ddb, dim)
    ddy = (h * slope(x, b, y, ddx, dim, act, alpha, gain, clamp)).to(ddx.dtype)
    if dy is None:
        return ddy, ddx.new_empty(0), ddx.new_empty(0)
    dx = h * dy * slope(x, b, y, ddx, dim, act, alpha, gain, clamp, order=2)
    db = sum_to_bias(dx, dim).to(ddx.dtype) if need_db else ddx.new_empty(0)
    return ddy, dx.to(ddx.dtype), db
