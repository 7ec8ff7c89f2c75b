"""pixel_norm in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._numerics import accumulate_dtype


def reciprocal_rms(x: Tensor, dim: int, eps: float) -> Tensor:
    """Return ``r = (mean(x²) + eps)^-½`` with size 1 along ``dim``.

    ``x`` has the accumulation dtype.
    """
    return (x.square().mean(dim, keepdim=True) + eps).rsqrt()


def pixel_norm(x: Tensor, dim: int, eps: float) -> Tensor:
    """Return ``x·r``, rounded once; autograd gives derivatives of any order."""
    wide = x.to(accumulate_dtype(x.dtype))
    return (wide * reciprocal_rms(wide, dim, eps)).to(x.dtype)


def pixel_norm_in_order(x: Tensor, dim: int, eps: float) -> Tensor:
    """Return :func:`pixel_norm` with the strides of the registered op."""
    return in_order(pixel_norm(x, dim, eps), x)


def pixel_norm_backward(dy: Tensor, x: Tensor, dim: int, eps: float) -> Tensor:
    """Return ``dx = r·dy - r³·mean(dy·x)·x``."""
    wide, g = (t.to(accumulate_dtype(x.dtype)) for t in (x, dy))
    r = reciprocal_rms(wide, dim, eps)
    along = (g * wide).mean(dim, keepdim=True)
    return in_order((r * g - r**3 * along * wide).to(x.dtype), x)


def pixel_norm_double_backward(
    ddx: Tensor, dy: Tensor, x: Tensor, dim: int, eps: float, need_ddy: bool, need_dx: bool
) -> tuple[Tensor, Tensor]:
    """Return ``ddy`` and ``dx``, empty where they aren't needed.

    With ``d = mean(dy·x)``, ``e = mean(ddx·x)`` and ``a = mean(ddx·dy)`` they are::

        ddy = r·ddx - r³·e·x        dx = (3r⁵·d·e - r³·a)·x - r³·(e·dy + d·ddx)
    """
    wide, g, u = (t.to(accumulate_dtype(x.dtype)) for t in (x, dy, ddx))
    r = reciprocal_rms(wide, dim, eps)
    d, e, a = ((p * q).mean(dim, keepdim=True) for p, q in ((g, wide), (u, wide), (u, g)))
    ddy = dx = x.new_empty(0)
    if need_ddy:
        ddy = in_order((r * u - r**3 * e * wide).to(x.dtype), x)
    if need_dx:
        dx = in_order(
            ((3 * r**5 * d * e - r**3 * a) * wide - r**3 * (e * g + d * u)).to(x.dtype), x
        )
    return ddy, dx


def in_order(result: Tensor, x: Tensor) -> Tensor:
    """Return ``result`` with the strides of ``torch.empty_like(x)``."""
    layout = torch.empty_like(x)
    return result if result.stride() == layout.stride() else layout.copy_(result)
