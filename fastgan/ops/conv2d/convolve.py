"""Convolutions without epilogue, by the algorithm that suits.

``style[N, C]`` scales the channels of ``x``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops._layout import memory_format
from fastgan.ops._library import ops_of
from fastgan.ops.bias_act import bias_act
from fastgan.ops.conv2d.choice import amx_suits, groups_suit, winograd_suits
from fastgan.ops.conv2d.grouped import is_channels_last
from fastgan.ops.conv2d.reference import product_per_sample
from fastgan.ops.conv2d.reference import styled as styled_by_torch
from fastgan.ops.scale_bias_act import schema  # noqa: F401 - registers the op

Pair = tuple[int, int]


def by_winograd(
    chosen: str, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> bool:
    """Return True if :func:`convolve` runs ``winograd_conv2d``."""
    if stride != (1, 1) or tuple(weight.shape[2:]) != (3, 3) or dilation != (1, 1) or groups != 1:
        return False
    height, width = x.shape[2] + 2 * padding[0] - 2, x.shape[3] + 2 * padding[1] - 2
    return max(padding) <= 2 and winograd_suits(chosen, x, weight, weight.shape[0], (height, width))


def by_winograd_down(
    chosen: str, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> bool:
    """Return True if :func:`convolve` runs ``winograd_conv2d_down``.

    Its images are odd in height and width, as filters produce them.
    """
    if stride != (2, 2) or padding != (0, 0) or tuple(weight.shape[2:]) != (3, 3):
        return False
    height, width = x.shape[2], x.shape[3]
    if (
        dilation != (1, 1)
        or groups != 1
        or min(height, width) < 3
        or height % 2 == 0
        or width % 2 == 0
    ):
        return False
    return winograd_suits(chosen, x, weight, weight.shape[0], (height // 2, width // 2))


def by_product(
    chosen: str, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> bool:
    """Return True if :func:`convolve` runs a matrix product: 1x1 in channels_last on the CPU.

    It is as fast as torch's convolution, forward and backward, and the derivatives of a product are
    products. Torch's second derivative in the weights is a convolution with samples and channels
    exchanged, several times slower.
    """
    if (stride, padding, groups) != ((1, 1), (0, 0), 1) or tuple(weight.shape[2:]) != (1, 1):
        return False
    return chosen == "cpu" and x.dtype == torch.float32 and memory_format(x) == torch.channels_last


def convolve(
    chosen: str, x: Tensor, weight: Tensor, style: Tensor | None = None, *,
    bias: Tensor | None = None, stride: Pair = (1, 1), padding: Pair = (0, 0),
    dilation: Pair = (1, 1), groups: int = 1,
) -> Tensor:  # fmt: skip
    """Run ``F.conv2d`` on backend ``chosen``."""
    how = (stride, padding, dilation, groups)
    if by_winograd(chosen, x, weight, *how):
        y = ops_of(chosen).winograd_conv2d(x, weight, style, *padding, False)
    elif by_winograd_down(chosen, x, weight, *how):
        y = ops_of(chosen).winograd_conv2d_down(x, weight, style)
    elif amx_suits(chosen, x, weight) or groups_suit(chosen, x, weight, groups):
        y = ops_of(chosen).grouped_conv2d(*_under_autocast(_styled(chosen, x, style), weight), *how)
    elif (
        style is not None
        and (stride, padding, groups) == ((1, 1), (0, 0), 1)
        and tuple(weight.shape[2:]) == (1, 1)
        and weight.shape[0] <= x.shape[2] * x.shape[3]
    ):
        y = _pointwise(chosen, x, weight, style)
    elif by_product(chosen, x, weight, *how):
        y = _product(_styled(chosen, x, style), weight)
    else:
        return F.conv2d(_styled(chosen, x, style), weight, bias, *how)
    return y if bias is None else bias_act(y, bias, act="linear", backend=chosen)


def _styled(chosen: str, x: Tensor, style: Tensor | None) -> Tensor:
    """Scale the channels of ``x`` by ``style``.

    On a GPU, and in half types on a CPU, one pass of scale_bias_act replaces the three of torch's
    derivative.
    """
    full_on_cpu = chosen == "cpu" and x.dtype not in (torch.bfloat16, torch.float16)
    if style is None or chosen == "reference" or full_on_cpu:
        return styled_by_torch(x, style)
    y: Tensor = ops_of(chosen).scale_bias_act(x, style, None, None, "linear", 0.0, 1.0, None)
    return y


def _under_autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Cast the arguments as ``F.conv2d`` does."""
    device = x.device.type
    if not torch.is_autocast_enabled(device) or x.dtype == torch.float64:
        return x, weight
    dtype = torch.get_autocast_dtype(device)
    return x.to(dtype), weight.to(dtype)


def _product(x: Tensor, weight: Tensor) -> Tensor:
    n, c, h, w = x.shape
    y = x.permute(0, 2, 3, 1).reshape(n * h * w, c) @ weight.reshape(-1, c).t()
    return y.reshape(n, h, w, weight.shape[0]).permute(0, 3, 1, 2)


def _pointwise(chosen: str, x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
    """Convolve 1x1 with weights per sample, so that the image is read once.

    These weights are no larger than the image.
    """
    n, c, h, w = x.shape
    # [N, O, C]
    weights = weight.reshape(1, -1, c) * style[:, None]
    if memory_format(x) == torch.channels_last:
        product = product_per_sample if chosen == "reference" else ops_of(chosen).product_per_sample
        y = product(x.permute(0, 2, 3, 1).reshape(n, h * w, c), weights)
        return y.reshape(n, h, w, weight.shape[0]).permute(0, 3, 1, 2)
    return (weights @ x.reshape(n, c, h * w)).reshape(n, weight.shape[0], h, w)


def convolve_transposed(
    chosen: str, x: Tensor, weight: Tensor, style: Tensor | None = None, *,
    stride: Pair = (1, 1), padding: Pair = (0, 0), groups: int = 1,
) -> Tensor:  # fmt: skip
    """Run ``F.conv_transpose2d`` on backend ``chosen``."""
    upsampling = (
        tuple(weight.shape[2:]) == (3, 3) and stride == (2, 2) and padding == (0, 0) and groups == 1
    )
    if upsampling and winograd_suits(chosen, x, weight, weight.shape[1], x.shape[2:]):
        return ops_of(chosen).winograd_conv_transpose2d(x, weight, style)
    if amx_suits(chosen, x, weight) or groups_suit(chosen, x, weight, groups):
        x, weight = _under_autocast(_styled(chosen, x, style), weight)
        size = [
            (x.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + weight.shape[2 + i] for i in (0, 1)
        ]
        return ops_of(chosen).grouped_conv2d_input(
            x, weight, size, is_channels_last(x, weight), stride, padding, (1, 1), groups
        )
    return F.conv_transpose2d(_styled(chosen, x, style), weight, None, stride, padding, 0, groups)
