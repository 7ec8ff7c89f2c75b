"""conv2d with its bias, activation, gain and clamp. The maths is in this folder's README."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.ops._activations import torch_activation_options
from fastgan.ops._checks import check_parameter
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.bias_act import bias_act

# Importing schema registers the ops.
from fastgan.ops.conv2d import schema  # noqa: F401
from fastgan.ops.conv2d.arguments import check_convolution, yx_pair
from fastgan.ops.conv2d.choice import set_winograd
from fastgan.ops.conv2d.convolve import by_winograd, convolve, convolve_transposed

__all__ = ["conv2d", "conv_transpose2d", "set_winograd"]

Pair = int | Sequence[int]


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float = 1.0,
    clamp: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """Return ``clamp(gain · act(F.conv2d(x, weight) + bias), -clamp, +clamp)``.

    It is differentiable to any order. With the defaults it is ``F.conv2d``, and ``act="lrelu"``
    adds a leaky ReLU of slope 0.2.

    On the CPU, in float32, two kinds of 3x3 convolutions run by Winograd's minimal filtering
    (Lavin & Gray 2016), in every order of derivative. They need enough channels and pixels:

    - Stride 1, by F(4x4, 3x3): twice as fast as the direct algorithm. Its rounding error is about
      twice as large, 5e-6 of the largest result at 512 channels. An infinite or NaN pixel spreads
      to the 4x4 tiles that contain it.
    - Stride 2 without padding, for images of odd height and width, as filters produce them: 81
      products instead of 144.

    Without a gradient, bias and activation are part of these kernels.
    :func:`fastgan.ops.set_winograd` turns them off. Every other convolution is torch's (cuDNN,
    oneDNN), followed by :func:`fastgan.ops.bias_act`. From 8 groups on, every order of derivative
    takes one convolution per tensor, while torch's second derivative takes one per group.
    ``autograd.grad(y, x)`` doesn't compute the gradient of the weights. Working memory is at most
    32 MB. The layer is :class:`fastgan.layers.Conv2d`.

    ::

        x, weight = torch.randn(4, 128, 32, 32), torch.randn(128, 128, 3, 3) / 34
        x = x.to(memory_format=torch.channels_last)  # the fastest layout on the CPU
        y = ops.conv2d(x, weight, torch.zeros(128), padding=1, act="lrelu")

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16, float32 or float64. channels_last is the fastest
            layout on the CPU: others are copied to it and back.
        weight: ``[O, C/groups, kh, kw]``, of the dtype and device of ``x``.
        bias: ``[O]`` or None.
        stride, padding, dilation: a number for both axes, or ``(y, x)`` as in torch;
            ``padding`` ≥ 0.
        groups: number of groups of channels, each convolved on its own.
        act, alpha, clamp: as in :func:`fastgan.ops.bias_act`.
        gain: factor after the activation, 1 by default for every activation.
        backend: as in :func:`fastgan.ops.bias_act`; ``reference`` is plain PyTorch.

    Under autocast the convolution runs in the dtype that ``F.conv2d`` takes there.

    Returns:
        ``[N, O, H', W']`` of the dtype of ``x``; channels_last if ``x`` or ``weight`` is.

    Raises:
        TypeError: a tensor isn't of a supported dtype, or the dtypes differ.
        ValueError: a shape, device or setting is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_convolution(x, weight, groups, transposed=False)
    steps, pads, spread = (
        yx_pair("stride", stride, 1),
        yx_pair("padding", padding, 0),
        yx_pair("dilation", dilation, 1),
    )
    for i, name in ((0, "high"), (1, "wide")):
        span, kernel = x.shape[2 + i] + 2 * pads[i], spread[i] * (weight.shape[2 + i] - 1) + 1
        if span < kernel:
            raise ValueError(
                f"the kernel must fit into the padded image, got a kernel {kernel} pixels {name} "
                f"and an image of {span}"
            )
    act, alpha, gain, clamp = torch_activation_options(act, alpha, gain, clamp)
    if bias is not None:
        check_parameter("bias", bias, x)
        if tuple(bias.shape) != (weight.shape[0],):
            raise ValueError(
                f"bias must have shape [{weight.shape[0]}], that of weight, got {list(bias.shape)}"
            )
    chosen = choose_backend("conv2d", x.device, backend)
    plain = act == "linear" and gain == 1 and clamp is None
    if by_winograd(chosen, x, weight, steps, pads, spread, groups):
        tensors = [t for t in (x, weight, bias) if t is not None]
        if not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return ops_of(chosen).winograd_conv2d_act(
                x, weight, None, None, None, bias, *pads, act, alpha, gain, clamp
            )
    y = convolve(
        *(chosen, x, weight), bias=bias if plain else None,
        stride=steps, padding=pads, dilation=spread, groups=groups,
    )  # fmt: skip
    return (
        y
        if plain
        else bias_act(y, bias, act=act, alpha=alpha, gain=gain, clamp=clamp, backend=chosen)
    )


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    groups: int = 1,
    backend: str | None = None,
) -> Tensor:
    """Return ``F.conv_transpose2d(x, weight)``, differentiable to any order.

    It is the adjoint of :func:`conv2d`.

    Args:
        x: ``[N, C, H, W]`` as in :func:`conv2d`.
        weight: ``[C, O/groups, kh, kw]``.
        stride, padding, groups: those of the convolution whose adjoint it is.
        backend: as in :func:`conv2d`.

    Returns:
        ``[N, O, (H - 1)·stride - 2·padding + kh, (W - 1)·stride - 2·padding + kw]``.

    Raises:
        TypeError, ValueError, BackendUnavailable: as :func:`conv2d`.
    """
    check_convolution(x, weight, groups, transposed=True)
    steps, pads = yx_pair("stride", stride, 1), yx_pair("padding", padding, 0)
    chosen = choose_backend("conv_transpose2d", x.device, backend)
    return convolve_transposed(chosen, x, weight, stride=steps, padding=pads, groups=groups)
