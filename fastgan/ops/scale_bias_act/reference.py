"""scale_bias_act in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._activations import activation, derivative
from fastgan.ops._layout import in_layout_of
from fastgan.ops._numerics import accumulate_dtype, below_clamp


def per_channel(scale: Tensor) -> Tensor:
    """Shape ``scale[N, C]`` or ``b[C]`` to broadcast over the pixels of ``[N, C, H, W]``."""
    return scale[..., None, None]


def pre_activation(
    x: Tensor, scale: Tensor | None, noise: Tensor | None, b: Tensor | None
) -> Tensor:
    """Return ``v = scale·x + noise + b`` in the accumulation dtype."""
    v = x.to(accumulate_dtype(x.dtype))
    if scale is not None:
        v = v * per_channel(scale.to(v.dtype))
    if noise is not None:
        v = v + noise.to(v.dtype)
    return v if b is None else v + per_channel(b.to(v.dtype))


def scale_bias_act(
    x: Tensor, scale: Tensor | None, noise: Tensor | None, b: Tensor | None, act: str, alpha: float,
    gain: float, clamp: float | None,
) -> Tensor:  # fmt: skip
    """Return ``clamp(gain · act(v))``, rounded once to the dtype of ``x``.

    Autograd gives derivatives of any order.
    """
    y = (activation(pre_activation(x, scale, noise, b), act, alpha) * gain).to(x.dtype)
    if clamp is not None:
        # No gradient flows where |y| reaches the clamp.
        y = torch.where(below_clamp(y, clamp), y, y.detach().clamp(-clamp, clamp))
    return in_layout_of(x, y)


# The derivatives written out. They stand in for missing native kernels, and give the third order.


def slopes(
    like: Tensor, x: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None,
    act: str, alpha: float, gain: float, clamp: float | None, *, orders: int,
) -> list[Tensor]:  # fmt: skip
    """Return ``s_k = gain·act^(k)(v)`` for ``k`` up to ``orders``, zero where the clamp is active.

    Args:
        like: source of shape and dtype if ``x`` is None: linear without clamp, whose slope is
            constant.
    """
    ones = torch.ones_like(like, dtype=accumulate_dtype(like.dtype))
    v = ones if x is None else pre_activation(x, scale, noise, b)
    found = [derivative(v, act, alpha, k) * gain for k in range(1, orders + 1)]
    if clamp is not None:
        below = below_clamp((activation(v.detach(), act, alpha) * gain).to(like.dtype), clamp)
        found = [torch.where(below, s, torch.zeros_like(s)) for s in found]
    return found


def sum_to_scale(t: Tensor) -> Tensor:
    """Sum over the pixels, to ``[N, C]``."""
    return t.sum((2, 3))


def sum_to_noise(t: Tensor, noise: Tensor) -> Tensor:
    """Sum over the channels, and over the batch if the images share the noise, to its shape."""
    return t.sum(1 if noise.shape[0] == t.shape[0] else (0, 1), keepdim=True)


def sum_to_bias(t: Tensor) -> Tensor:
    """Sum over batch and pixels, to ``[C]``."""
    return t.sum((0, 2, 3))


def scale_bias_act_backward(
    dy: Tensor, x: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None,
    act: str, alpha: float, gain: float, clamp: float | None, need_dscale: bool, need_dnoise: bool,
    need_db: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the gradients, empty where they aren't needed.

    With ``g = dy·s1`` they are ``dx = g·scale``, ``dscale = Σ g·x``, ``dnoise = Σ g`` and
    ``db = Σ g``.
    """
    (s1,) = slopes(dy, x, scale, noise, b, act, alpha, gain, clamp, orders=1)
    g = dy * s1
    dx = g if scale is None else g * per_channel(scale)
    none = [dy.new_empty(0) for _ in range(3)]
    dscale, dnoise, db = none
    if need_dscale:
        assert x is not None
        dscale = sum_to_scale(g * x)
    if need_dnoise:
        assert noise is not None
        dnoise = sum_to_noise(g, noise)
    if need_db:
        db = sum_to_bias(g)
    return (
        in_layout_of(dy, dx.to(dy.dtype)),
        dscale.to(dy.dtype),
        dnoise.to(dy.dtype),
        db.to(dy.dtype),
    )


def scale_bias_act_double_backward(
    ddx: Tensor, ddscale: Tensor | None, ddnoise: Tensor | None, ddb: Tensor | None, dy: Tensor,
    x: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None, act: str,
    alpha: float, gain: float, clamp: float | None, need_dx: bool, need_dscale: bool,
    need_dnoise: bool, need_db: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the second derivatives, empty where they aren't needed.

    Let ``h`` be the direction of ``v``, ``g = dy·s1`` and ``q = dy·s2·h``. They are::

        ddy = s1·h              dx = q·scale + g·ddscale      dscale = Σ q·x + g·ddx
        dnoise = Σ q            db = Σ q
    """
    s1, s2 = slopes(ddx, x, scale, noise, b, act, alpha, gain, clamp, orders=2)
    h = direction(ddx, ddscale, ddnoise, ddb, x, scale)
    g, q = dy * s1, dy * s2 * h
    dx, dscale, dnoise, db = (ddx.new_empty(0) for _ in range(4))
    if need_dx:
        dx = q if scale is None else q * per_channel(scale)
        dx = dx if ddscale is None else dx + g * per_channel(ddscale)
        dx = in_layout_of(ddx, dx.to(ddx.dtype))
    if need_dscale:
        dscale = sum_to_scale(g * ddx if x is None else q * x + g * ddx)
    if need_dnoise:
        assert noise is not None
        dnoise = sum_to_noise(q, noise)
    if need_db:
        db = sum_to_bias(q)
    sums = (t.to(ddx.dtype) for t in (dscale, dnoise, db))
    return in_layout_of(ddx, (s1 * h).to(ddx.dtype)), dx, *sums  # type: ignore[return-value]


def direction(
    ddx: Tensor, ddscale: Tensor | None, ddnoise: Tensor | None, ddb: Tensor | None,
    x: Tensor | None, scale: Tensor | None,
) -> Tensor:  # fmt: skip
    """Return the direction of ``v`` for directions of its inputs.

    It is ``h = scale·ddx + ddscale·x + ddnoise + ddb``.
    """
    h = pre_activation(ddx, scale, ddnoise, ddb)
    if ddscale is None:
        return h
    assert x is not None
    return h + per_channel(ddscale.to(h.dtype)) * x
