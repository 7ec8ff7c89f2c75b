"""adaptive_norm in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._activations import activation, derivative
from fastgan.ops._layout import in_layout_of
from fastgan.ops._numerics import accumulate_dtype, below_clamp
from fastgan.ops.adaptive_norm.coefficients import direction, first, norm_of, second

Parameters = tuple[Tensor | None, Tensor | None]


def per_channel(t: Tensor) -> Tensor:
    """Shape ``[N, C]`` to broadcast over the pixels of ``[N, C, H, W]``."""
    return t[..., None, None]


def split(scale: Tensor | None, shift: Tensor | None) -> tuple[Parameters, Parameters]:
    """Return scale and shift as numbers ``[N, C]`` and as maps ``[N, C, H, W]``.

    The pair of the kind that they aren't is ``(None, None)``.
    """
    maps = any(t is not None and t.ndim == 4 for t in (scale, shift))
    return ((None, None), (scale, shift)) if maps else ((scale, shift), (None, None))


def modulated(t: Tensor, maps: Parameters) -> Tensor:
    """Return ``t·(1 + scale) + shift`` in the dtype of ``t``."""
    scale, shift = (None if m is None else m.to(t.dtype) for m in maps)
    t = t if scale is None else t * (1 + scale)
    return t if shift is None else t + shift


def sums(t: Tensor) -> Tensor:
    """Sum over the pixels, to ``[N, C]``."""
    return t.sum((2, 3))


def moments(x: Tensor, over: str) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance in the accumulation dtype.

    They are ``[N, C]`` over each sample, ``[1, C]`` over the batch.
    """
    x = x.to(accumulate_dtype(x.dtype))
    dims = (0, 2, 3) if over == "batch" else (2, 3)
    count = max(x.numel() // max(x.shape[1] * (1 if over == "batch" else x.shape[0]), 1), 1)
    mean = x.sum(dims, keepdim=True) / count
    var = (x - mean).square().sum(dims, keepdim=True) / count
    return mean[..., 0, 0], var[..., 0, 0]


def adaptive_norm(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor | None, var: Tensor | None,
    residual: Tensor | None, over: str, eps: float, act: str, alpha: float, gain: float,
    clamp: float | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the op's result, rounded once, with the mean and variance of ``x``.

    The last two are empty if ``mean`` and ``var`` are arguments. Autograd gives derivatives of any
    order.
    """
    wide = x.to(accumulate_dtype(x.dtype))
    if over == "given":
        assert mean is not None and var is not None
        found = wide.new_empty(0), wide.new_empty(0)
    else:
        mean, var = found = moments(x, over)
    numbers, maps = split(scale, shift)
    k = norm_of(x, *numbers, mean, var, over, eps)
    v = modulated(per_channel(k.p) * (wide - per_channel(k.mean)) + per_channel(k.t), maps)
    y = activation(v, act, alpha) * gain
    if clamp is not None:
        # No gradient flows where |y| reaches the clamp.
        y = torch.where(below_clamp(y.to(x.dtype), clamp), y, y.detach().clamp(-clamp, clamp))
    if residual is not None:
        y = y + residual
    return in_layout_of(x, y.to(x.dtype)), *found


# The derivatives written out: they stand in for missing native kernels, and give the third order.


def slopes(
    v: Tensor,
    dtype: torch.dtype,
    act: str,
    alpha: float,
    gain: float,
    clamp: float | None,
    *,
    orders: int,
) -> list[Tensor]:
    """Return ``s_k = gain·act^(k)(v)`` for ``k`` up to ``orders``, zero where the clamp is active.

    Args:
        dtype: that of the result, to which it is rounded before it meets the clamp.
    """
    found = [derivative(v, act, alpha, k) * gain for k in range(1, orders + 1)]
    if clamp is not None:
        below = below_clamp((activation(v.detach(), act, alpha) * gain).to(dtype), clamp)
        found = [torch.where(below, s, torch.zeros_like(s)) for s in found]
    return found


def adaptive_norm_backward(
    dy: Tensor, x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, var: Tensor,
    over: str, eps: float, act: str, alpha: float, gain: float, clamp: float | None,
    need_dscale: bool, need_dshift: bool, need_dstats: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return ``dx``, ``dscale``, ``dshift``, ``dmean``, ``dvar``, empty where they aren't needed.

    All but ``dx`` are ``[N, C]``. If scale and shift are maps, so are their gradients, and
    ``dshift`` is always computed, since ``dx`` follows from it.
    """
    numbers, maps = split(scale, shift)
    k = norm_of(x, *numbers, mean, var, over, eps)
    centred = x.to(mean.dtype) - per_channel(mean)
    unit = per_channel(k.p) * centred
    v = modulated(unit + per_channel(k.t), maps)
    g = dy * slopes(v, dy.dtype, act, alpha, gain, clamp, orders=1)[0]
    through = modulated(g, (maps[0], None))
    found = first(k, sums(through), sums(through * centred))
    dx = per_channel(k.p) * through + per_channel(found.shift) + per_channel(found.slope) * centred
    parameters: tuple[Tensor, ...] = found[:4]
    if maps != (None, None):
        parameters = (in_layout_of(dy, g * unit), in_layout_of(dy, g), *found[2:4])
    needs = (need_dscale, need_dshift or maps != (None, None), need_dstats, need_dstats)
    results = in_layout_of(dy, dx.to(dy.dtype)), *_only(parameters, needs, dy.dtype)
    return results  # type: ignore[return-value]


def adaptive_norm_double_backward(
    ddx: Tensor, ddscale: Tensor | None, ddshift: Tensor | None, ddmean: Tensor | None,
    ddvar: Tensor | None, dy: Tensor, x: Tensor, scale: Tensor | None, shift: Tensor | None,
    mean: Tensor, var: Tensor, over: str, eps: float, act: str, alpha: float, gain: float,
    clamp: float | None, need_dx: bool, need_dscale: bool, need_dshift: bool, need_dstats: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return ``ddy`` and the second derivatives in ``x``, ``scale``, ``shift``, ``mean``, ``var``.

    All but ``ddy`` are empty where they aren't needed.
    """
    k = norm_of(x, scale, shift, mean, var, over, eps)
    centred, u = x.to(mean.dtype) - per_channel(mean), ddx.to(mean.dtype)
    v = per_channel(k.p) * centred + per_channel(k.t)
    s1, s2 = slopes(v, dy.dtype, act, alpha, gain, clamp, orders=2)
    along = direction(k, sums(u), sums(u * centred), ddscale, ddshift, ddmean, ddvar)
    h = per_channel(k.p) * u + per_channel(along.slope) * centred + per_channel(along.shift)
    g, q = dy * s1, dy * s2 * h
    found = second(
        k, along, ddscale, sums(g), sums(g * centred), sums(g * u), sums(q), sums(q * centred)
    )
    dx = ddx.new_empty(0)
    if need_dx:
        dx = per_channel(k.p) * q + per_channel(along.slope) * g + per_channel(found.f_u) * u
        dx = dx + per_channel(found.f_x) * centred + per_channel(found.f_1)
        dx = in_layout_of(ddx, dx.to(ddx.dtype))
    needs = (need_dscale, need_dshift, need_dstats, need_dstats)
    ddy = in_layout_of(ddx, (s1 * h).to(ddx.dtype))
    return ddy, dx, *_only(found[:4], needs, ddx.dtype)  # type: ignore[return-value]


def _only(found: tuple[Tensor, ...], needs: tuple[bool, ...], dtype: torch.dtype) -> list[Tensor]:
    """Return gradients of parameters, empty where they aren't needed.

    Those of scale and shift get ``dtype``; those of mean and variance keep the accumulation dtype.
    """
    dtypes = (dtype, dtype, accumulate_dtype(dtype), accumulate_dtype(dtype))
    return [
        t.to(d) if need else t.new_empty(0, dtype=d) for t, need, d in zip(found, needs, dtypes)
    ]
