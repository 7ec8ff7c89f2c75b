"""minibatch_stddev in plain PyTorch: documentation, fallback and test oracle of the op.

``group_size`` is that of the op throughout: a smaller batch is one group. Without a sample or a
pixel there is nothing to compare, and only shapes count.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._layout import in_layout_of
from fastgan.ops._numerics import accumulate_dtype

EPS = 1e-8
"""Term added to the variance."""


def in_groups(t: Tensor, group_size: int, parts: int) -> Tensor:
    """Reshape ``t[N, C, H, W]`` to ``[G, M, parts, positions]``, in the accumulation dtype.

    Group ``m`` holds the samples ``m, m + M, …``.
    """
    group = min(group_size, t.shape[0])
    positions = t.shape[1] // parts * t.shape[2] * t.shape[3]
    return t.to(accumulate_dtype(t.dtype)).reshape(group, t.shape[0] // group, parts, positions)


def with_channels(x: Tensor, channels: Tensor) -> Tensor:
    """Append ``channels[M, F]`` to ``x[N, C, H, W]``, at every pixel of a group, in its layout."""
    per_sample = channels.repeat(x.shape[0] // channels.shape[0], 1)[:, :, None, None]
    # Cast last, so that gradients are summed in the accumulation dtype.
    planes = per_sample.expand(-1, -1, *x.shape[2:]).to(x.dtype)
    return in_layout_of(x, torch.cat([x, planes], 1))


def without_values(x: Tensor, num_channels: int) -> Tensor:
    """Return the result for an ``x`` without elements."""
    return torch.cat([x, x.new_zeros(x.shape[0], num_channels, *x.shape[2:])], 1)


def minibatch_stddev(x: Tensor, group_size: int, num_channels: int) -> Tensor:
    """Append ``s = mean_p √(mean_k (x_kp - μ_p)² + eps)`` to the channels of x.

    Autograd gives derivatives of any order.
    """
    if not x.numel():
        return in_layout_of(x, without_values(x, num_channels))
    stddev = (in_groups(x, group_size, num_channels).var(0, correction=0) + EPS).sqrt()
    return with_channels(x, stddev.mean(-1))


def spread(x: Tensor, group_size: int, parts: int) -> tuple[Tensor, Tensor]:
    """Return each element's difference from its group's mean, and the standard deviation.

    The latter is ``[M, parts, positions]``.
    """
    grouped = in_groups(x, group_size, parts)
    z = grouped - grouped.mean(0)
    return z, (z.square().mean(0) + EPS).sqrt()


def weights(dy: Tensor, x: Tensor, group_size: int) -> Tensor:
    """Return ``w = t / (G·P)`` as ``[M, F, 1]``.

    ``t`` is the sum of dy over all elements that a group's s was written to.
    """
    parts = dy.shape[1] - x.shape[1]
    group = min(group_size, x.shape[0])
    sums = in_groups(dy[:, x.shape[1] :], group_size, parts).sum((0, 3))
    return sums[..., None] / (group * (x.numel() // x.shape[0] // parts))


def minibatch_stddev_backward(dy: Tensor, x: Tensor, group_size: int, num_channels: int) -> Tensor:
    """Return ``dx = dy_x + w·z/σ``, where ``dy_x`` is dy without the last channels."""
    if not x.numel():
        return in_layout_of(x, x.clone())
    z, sigma = spread(x, group_size, num_channels)
    dx = (
        in_groups(dy[:, : x.shape[1]], group_size, num_channels)
        + weights(dy, x, group_size) * z / sigma
    )
    return in_layout_of(x, dx.reshape(x.shape).to(x.dtype))


def minibatch_stddev_double_backward(
    ddx: Tensor,
    dy: Tensor,
    x: Tensor,
    group_size: int,
    num_channels: int,
    need_ddy: bool,
    need_dx: bool,
) -> tuple[Tensor, Tensor]:
    """Return ``ddy`` and ``dx``, empty where they aren't needed.

    With ``b = Σ_k ddx·z``, ``ddy`` is ddx with ``Σ_p b/σ / (G·P)`` appended, and
    ``dx = w·((ddx - mean_k ddx)/σ - b·z/(G·σ³))``.
    """
    ddy = dx = x.new_empty(0)
    if not x.numel():
        ddy = in_layout_of(x, without_values(ddx, num_channels)) if need_ddy else ddy
        return ddy, in_layout_of(x, x.clone()) if need_dx else dx
    z, sigma = spread(x, group_size, num_channels)
    u = in_groups(ddx, group_size, num_channels)
    b = (u * z).sum(0)
    if need_ddy:
        ddy = in_layout_of(x, with_channels(ddx, (b / sigma).mean(-1) / z.shape[0]))
    if need_dx:
        turned = (u - u.mean(0)) / sigma - b * z / (z.shape[0] * sigma**3)
        dx = in_layout_of(x, (weights(dy, x, group_size) * turned).reshape(x.shape).to(x.dtype))
    return ddy, dx
