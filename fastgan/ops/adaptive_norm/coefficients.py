"""What is one number per image and channel: the affine map of a norm, and how its derivatives follow from sums.

Everything is ``[N, C]`` or ``[1, C]``, small beside the images; names and formulas are those of this folder's README.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Norm(NamedTuple):
    """A norm as it acts on an image: ``v = p·(x - mean) + t`` with ``r = (var + eps)^-½``, ``a = 1 + scale``, ``p = a·r``.

    ``over``: ``given``, ``sample`` or ``batch``. ``elements``: over how many a mean is.
    """

    over: str
    elements: int
    mean: Tensor
    r: Tensor
    a: Tensor
    p: Tensor
    t: Tensor

    def group(self, sums: Tensor) -> Tensor:
        """``[N, C]`` added up over the images that share a mean."""
        return sums.sum(0, keepdim=True) if self.over == "batch" else sums

    def own(self) -> bool:
        """Whether mean and variance are those of the image itself, so that its gradient goes through them."""
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
    """The norm with parameters in the dtype of ``mean``, the accumulation dtype; ``like``: the image ``[N, C, H, W]``."""
    n, c, h, w = like.shape
    r = (var + eps).rsqrt()
    a = torch.ones_like(r) if scale is None else 1 + scale.to(r.dtype)
    t = torch.zeros_like(r) if shift is None else shift.to(r.dtype)
    p, t = (a * r).expand(n, c), t.expand(n, c)
    count = h * w * (n if over == "batch" else 1)
    return Norm(over, max(count, 1), mean, r, a, p, t)


class First(NamedTuple):
    """First derivatives: ``dx = p·g + shift + slope·(x - mean)``, and those of the parameters, ``[N, C]``."""

    dscale: Tensor
    dshift: Tensor
    dmean: Tensor
    dvar: Tensor
    shift: Tensor
    slope: Tensor


def first(k: Norm, g: Tensor, gx: Tensor) -> First:
    """From the sums over the pixels ``g`` of g, ``gx`` of g·(x - mean)."""
    dmean = -k.p * g
    dvar = -0.5 * k.r**2 * k.p * gx
    if k.own():
        shift, slope = k.group(dmean) / k.elements, 2 / k.elements * k.group(dvar)
    else:
        shift = slope = torch.zeros_like(dmean)
    return First(k.r * gx, g, dmean, dvar, shift, slope)


class Direction(NamedTuple):
    """How v moves: ``h = p·ddx + slope·(x - mean) + shift``; ``mean``, ``var``: how mean and variance move."""

    mean: Tensor
    var: Tensor
    slope: Tensor
    shift: Tensor


def direction(
    k: Norm, u: Tensor, ux: Tensor, ddscale: Tensor | None, ddshift: Tensor | None,
    ddmean: Tensor | None, ddvar: Tensor | None,
) -> Direction:  # fmt: skip
    """From the sums ``u`` of ddx and ``ux`` of ddx·(x - mean), which count where mean and variance are the image's."""
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
    """Second derivatives: ``dx = p·q + along.slope·g + f_u·ddx + f_x·(x - mean) + f_1``, and those of the parameters."""

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
    """From the sums of g, g·(x - mean), g·ddx, q and q·(x - mean); those of q are zero where act has no curvature."""
    alpha = torch.zeros_like(k.t) if ddscale is None else ddscale.to(k.t.dtype)
    moved = gu - along.mean * g
    dscale = k.r * (qx + moved) - 0.5 * k.r**3 * along.var * gx
    dr = k.a * (qx + moved) + (alpha - 1.5 * k.a * k.r**2 * along.var) * gx
    dmean = -(k.p * q + along.slope * g)
    dvar = -0.5 * k.r**3 * dr
    f_u = f_x = f_1 = torch.zeros_like(k.t)
    if k.own():
        # the direction of the variance is a function of x too
        f_u = 2 / k.elements * k.group(-0.5 * k.p * k.r**2 * gx)
        f_x = 2 / k.elements * k.group(dvar)
        f_1 = k.group(dmean) / k.elements - f_u * along.mean
    return Second(dscale, q, dmean, dvar, f_u, f_x, f_1)
