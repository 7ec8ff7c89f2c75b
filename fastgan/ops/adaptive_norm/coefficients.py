"""Coefficients per image and channel: the affine map of a norm, and its derivatives from sums.

Everything is ``[N, C]`` or ``[1, C]``, small beside the images. Names and formulas are those of
this folder's README.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Norm(NamedTuple):
    """The affine map of a norm: ``v = p·(x - mean) + t``.

    Here ``r = (var + eps)^-½``, ``a = 1 + scale`` and ``p = a·r``.

    Attributes:
        over: ``given``, ``sample`` or ``batch``.
        elements: number of elements that share a mean.
    """

    over: str
    elements: int
    mean: Tensor
    r: Tensor
    a: Tensor
    p: Tensor
    t: Tensor

    def group(self, sums: Tensor) -> Tensor:
        """Sum ``[N, C]`` over the images that share a mean."""
        return sums.sum(0, keepdim=True) if self.over == "batch" else sums

    def own(self) -> bool:
        """Return True if mean and variance are the image's own, with a gradient through them."""
        return self.over != "given"


def norm_of(
    like: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    mean: Tensor,
    var: Tensor,
    over: str,
    eps: float,
) -> Norm:
    """Return the norm of an image of the shape of ``like``, ``[N, C, H, W]``.

    Its coefficients have the dtype of ``mean``, the accumulation dtype.
    """
    n, c, h, w = like.shape
    r = (var + eps).rsqrt()
    a = torch.ones_like(r) if scale is None else 1 + scale.to(r.dtype)
    t = torch.zeros_like(r) if shift is None else shift.to(r.dtype)
    p, t = (a * r).expand(n, c), t.expand(n, c)
    count = h * w * (n if over == "batch" else 1)
    return Norm(over, max(count, 1), mean, r, a, p, t)


class First(NamedTuple):
    """First derivatives: those of the parameters, and ``dx = p·g + shift + slope·(x - mean)``."""

    dscale: Tensor
    dshift: Tensor
    dmean: Tensor
    dvar: Tensor
    shift: Tensor
    slope: Tensor


def first(k: Norm, g: Tensor, gx: Tensor) -> First:
    """Compute first derivatives from sums over pixels: ``g`` of g, ``gx`` of g·(x - mean)."""
    dmean = -k.p * g
    dvar = -0.5 * k.r**2 * k.p * gx
    if k.own():
        shift, slope = k.group(dmean) / k.elements, 2 / k.elements * k.group(dvar)
    else:
        shift = slope = torch.zeros_like(dmean)
    return First(k.r * gx, g, dmean, dvar, shift, slope)


class Direction(NamedTuple):
    """The direction ``h = p·ddx + slope·(x - mean) + shift`` of v.

    Attributes:
        mean, var: directions of mean and variance.
    """

    mean: Tensor
    var: Tensor
    slope: Tensor
    shift: Tensor


def direction(
    k: Norm, u: Tensor, ux: Tensor, ddscale: Tensor | None, ddshift: Tensor | None,
    ddmean: Tensor | None, ddvar: Tensor | None,
) -> Direction:  # fmt: skip
    """Compute the direction of v from those of the inputs.

    Args:
        u, ux: sums of ddx and of ddx·(x - mean), used if mean and variance are the image's own.
    """
    zero = torch.zeros_like(k.t)
    if k.own():
        mean, var = k.group(u) / k.elements, 2 / k.elements * k.group(ux)
    else:
        mean, var = (zero if d is None else d for d in (ddmean, ddvar))
    slope = -0.5 * k.p * k.r**2 * var
    if ddscale is not None:
        slope = slope + ddscale.to(slope.dtype) * k.r
    shift = -k.p * mean
    if ddshift is not None:
        shift = shift + ddshift.to(shift.dtype)
    return Direction(mean, var, slope, shift)


class Second(NamedTuple):
    """Second derivatives: those of the parameters, and coefficients of ``dx``.

    ``dx = p·q + along.slope·g + f_u·ddx + f_x·(x - mean) + f_1``
    """

    dscale: Tensor
    dshift: Tensor
    dmean: Tensor
    dvar: Tensor
    f_u: Tensor
    f_x: Tensor
    f_1: Tensor


def second(
    k: Norm,
    along: Direction,
    ddscale: Tensor | None,
    g: Tensor,
    gx: Tensor,
    gu: Tensor,
    q: Tensor,
    qx: Tensor,
) -> Second:
    """Compute second derivatives from sums over pixels.

    They are the sums of g, g·(x - mean), g·ddx, q and q·(x - mean). Those of q are zero for
    activations without curvature.
    """
    alpha = torch.zeros_like(k.t) if ddscale is None else ddscale.to(k.t.dtype)
    moved = gu - along.mean * g
    dscale = k.r * (qx + moved) - 0.5 * k.r**3 * along.var * gx
    dr = k.a * (qx + moved) + (alpha - 1.5 * k.a * k.r**2 * along.var) * gx
    dmean = -(k.p * q + along.slope * g)
    dvar = -0.5 * k.r**3 * dr
    f_u = f_x = f_1 = torch.zeros_like(k.t)
    if k.own():
        # The direction of the variance is a function of x too.
        f_u = 2 / k.elements * k.group(-0.5 * k.p * k.r**2 * gx)
        f_x = 2 / k.elements * k.group(dvar)
        f_1 = k.group(dmean) / k.elements - f_u * along.mean
    return Second(dscale, q, dmean, dvar, f_u, f_x, f_1)
