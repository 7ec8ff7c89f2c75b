"""The ops of conv2d in plain PyTorch.

``style[N, C]`` scales the channels of ``x``; ``pad`` is ``(y, x)``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from fastgan.ops import _layout
from fastgan.ops.scale_bias_act import reference as epilogue


def memory_format(x: Tensor, w: Tensor) -> torch.memory_format:
    """Return channels_last if image or weights have it, as torch's convolutions do."""
    either = (_layout.memory_format(t) == torch.channels_last for t in (x, w))
    return torch.channels_last if any(either) else torch.contiguous_format


def styled(x: Tensor, style: Tensor | None) -> Tensor:
    """Scale the channels of ``x[N, C, H, W]`` by ``style[N, C]``."""
    return x if style is None else x * style[:, :, None, None]


def winograd_conv2d(
    x: Tensor, w: Tensor, style: Tensor | None, pad_y: int, pad_x: int, transposed: bool
) -> Tensor:
    """Convolve with ``w[K, C, 3, 3]``, stride 1.

    With ``transposed``, apply the adjoint of the convolution with ``w[C, K, 3, 3]``.
    """
    conv = F.conv_transpose2d if transposed else F.conv2d
    y = conv(styled(x, style), w, padding=(pad_y, pad_x))
    return y.contiguous(memory_format=memory_format(x, w))


def winograd_conv2d_act(
    x: Tensor, w: Tensor, style: Tensor | None, scale: Tensor | None, noise: Tensor | None,
    b: Tensor | None, pad_y: int, pad_x: int, act: str, alpha: float, gain: float,
    clamp: float | None,
) -> Tensor:  # fmt: skip
    z = winograd_conv2d(x, w, style, pad_y, pad_x, False)
    return epilogue.scale_bias_act(z, scale, noise, b, act, alpha, gain, clamp)


def winograd_conv2d_input(
    dz: Tensor, w: Tensor, x: Tensor, style: Tensor, pad_y: int, pad_x: int
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``x`` and ``style``."""
    t = F.conv_transpose2d(dz, w, padding=(pad_y, pad_x))
    dx = styled(t, style).contiguous(memory_format=_layout.memory_format(x))
    return dx, (t * x).sum((2, 3))


def winograd_conv2d_unscaled(
    dx: Tensor, style: Tensor, dz: Tensor, w: Tensor, pad_y: int, pad_x: int
) -> Tensor:
    """Return t of ``dx = t·style``."""
    t = F.conv_transpose2d(dz, w, padding=(pad_y, pad_x))
    return t.contiguous(memory_format=_layout.memory_format(dx))


def winograd_conv2d_weight(
    dy: Tensor, x: Tensor, style: Tensor | None, pad_y: int, pad_x: int
) -> Tensor:
    """Return the gradient of ``w[K, C, 3, 3]``."""
    shape = (dy.shape[1], x.shape[1], 3, 3)
    return conv2d_weight(styled(x, style), shape, dy, padding=(pad_y, pad_x)).contiguous()


def winograd_conv_transpose2d(x: Tensor, w: Tensor, style: Tensor | None) -> Tensor:
    """Apply the transposed convolution with ``w[C, K, 3, 3]``, stride 2."""
    y = F.conv_transpose2d(styled(x, style), w, stride=2)
    return y.contiguous(memory_format=memory_format(x, w))


def winograd_conv2d_down(x: Tensor, w: Tensor, style: Tensor | None) -> Tensor:
    """Convolve images of odd height and width with ``w[K, C, 3, 3]``, stride 2."""
    y = F.conv2d(styled(x, style), w, stride=2)
    return y.contiguous(memory_format=memory_format(x, w))


def winograd_conv2d_down_weight(dy: Tensor, x: Tensor, style: Tensor | None) -> Tensor:
    """Return the gradient of ``w[K, C, 3, 3]`` in :func:`winograd_conv2d_down`."""
    shape = (dy.shape[1], x.shape[1], 3, 3)
    return conv2d_weight(styled(x, style), shape, dy, stride=2).contiguous()


def product_per_sample(x: Tensor, w: Tensor) -> Tensor:
    """Multiply ``x[N, P, C]`` by the transpose of ``w[N, O, C]``."""
    return torch.bmm(x, w.transpose(1, 2))


def product_per_sample_weight(dy: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of ``w[N, O, C]``."""
    # The fewer become rows: BLAS takes ten times as long for three columns.
    if dy.shape[2] > x.shape[2]:
        return torch.bmm(x.transpose(1, 2), dy).transpose(1, 2).contiguous()
    return torch.bmm(dy.transpose(1, 2), x)
