"""Convolutions whose derivatives are convolutions: in groups, and in bfloat16 on AMX.

Let ``⋆`` be the convolution in groups, of which there may be one. Each of these three is linear in
both of its tensors, and its derivatives are the other two::

    y = x ⋆ w        dx = dy ⋆ᵀ w        dw = dy ⋆ᵂ x

So the number of convolutions in a derivative doesn't depend on the number of groups. Torch's second
derivative in the weights convolves every group on its own. In bfloat16 on a CPU with AMX, kernels
of ours (``csrc/amx_conv2d``) run where they are faster than oneDNN's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops._define import define
from fastgan.ops.conv2d.choice import amx_is_faster, amx_is_faster_for_weights
from fastgan.ops.conv2d.reference import memory_format

Pair = list[int]
Gradients = tuple[Tensor | None, ...]

GEOMETRY = "SymInt[2] stride, SymInt[2] padding, SymInt[2] dilation, SymInt groups"


def is_channels_last(x: Tensor, w: Tensor) -> bool:
    """Return True if ``x ⋆ w`` and the gradient of ``x`` are channels_last."""
    if memory_format(x, w) == torch.channels_last:
        return True
    # Of one pixel, which is contiguous too, torch's convolutions go by the strides.
    _, c, height, width = x.shape
    return height == width == 1 and c > 1 and x.stride()[1:] == (1, c, c)


def in_format(y: Tensor, channels_last: bool) -> Tensor:
    return y.contiguous(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )


def _size(x: Tensor, w: Tensor, stride: Any, padding: Any, dilation: Any) -> list[Any]:
    """Return height and width of ``x ⋆ w``."""
    return [
        (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (w.shape[2 + i] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    ]


def _backward_of(
    dy: Tensor, x: Tensor, w: Tensor, geometry: tuple[Any, ...], wanted: list[bool]
) -> Gradients:
    stride, padding, dilation, groups = geometry
    if dy.dtype == torch.bfloat16 and dy.device.type == "cpu":
        # oneDNN takes ten times as long for a gradient in another layout than the image's.
        dy = in_format(dy, is_channels_last(x, w))
    found: Gradients = torch.ops.aten.convolution_backward(
        dy, x, w, None, stride, padding, dilation, False, [0, 0], groups, [*wanted, False]
    )
    return found


# ------------------------------------------------------------------------------- the kernels


def grouped_conv2d(
    x: Tensor, w: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """Return ``x[N, C, H, W] ⋆ w[O, C/groups, kh, kw]``."""
    height, width = _size(x, w, stride, padding, dilation)
    if amx_is_faster(w, groups, x.shape[0] * height * width):
        y: Tensor = torch.ops.fastgan_runtime.amx_conv2d(
            x, w, is_channels_last(x, w), *stride, *padding, *dilation, groups
        )
        return y
    y = F.conv2d(x, w, None, stride, padding, dilation, groups)
    return in_format(y, is_channels_last(x, w))


def grouped_conv2d_input(
    dy: Tensor, w: Tensor, size: Pair, channels_last: bool, stride: Pair, padding: Pair,
    dilation: Pair, groups: int
) -> Tensor:  # fmt: skip
    """Return ``dy ⋆ᵀ w``, the gradient of an image whose height and width are ``size``."""
    if amx_is_faster(w, groups, dy.shape[0] * dy.shape[2] * dy.shape[3]):
        image: Tensor = torch.ops.fastgan_runtime.amx_conv2d_input(
            dy, w, *size, channels_last, *stride, *padding, *dilation, groups
        )
        return image
    # For its sizes and strides; no element is read.
    x = _image_like(dy, w, size, channels_last, groups)
    dx, *_ = _backward_of(dy, x, w, (stride, padding, dilation, groups), [True, False])
    assert dx is not None
    return in_format(dx, channels_last)


def grouped_conv2d_weight(
    dy: Tensor, x: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """Return ``dy ⋆ᵂ x``, the gradient of ``w[O, C/groups, *kernel]``."""
    if amx_is_faster_for_weights(dy, x, groups, kernel):
        gradient: Tensor = torch.ops.fastgan_runtime.amx_conv2d_weight(
            dy, x, *kernel, *stride, *padding, *dilation, groups
        )
        return gradient
    w = x.new_empty(dy.shape[1], x.shape[1] // groups, *kernel)
    _, dw, *_ = _backward_of(dy, x, w, (stride, padding, dilation, groups), [False, True])
    assert dw is not None
    return dw.contiguous()


# ------------------------------------------------------------------------------ registration


def _image_like(dy: Tensor, w: Tensor, size: Any, channels_last: bool, groups: Any) -> Tensor:
    shape = (dy.shape[0], w.shape[1] * groups, *size)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=dy.dtype, device=dy.device, memory_format=layout)


def _fake(x: Tensor, w: Tensor, stride: Any, padding: Any, dilation: Any, groups: Any) -> Tensor:
    shape = (x.shape[0], w.shape[0], *_size(x, w, stride, padding, dilation))
    layout = torch.channels_last if is_channels_last(x, w) else torch.contiguous_format
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)


def _of_image(ops: Any, dy: Tensor, w: Tensor, x: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    found: Tensor = ops.grouped_conv2d_input(dy, w, x.shape[2:], is_channels_last(x, w), *geometry)
    return found


def _backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, w = ctx.saved_tensors
    need_x, need_w = ctx.needs_input_grad[:2]
    dx = _of_image(ops, dy, w, x, ctx.settings[-4:]) if need_x else None
    dw = ops.grouped_conv2d_weight(dy, x, w.shape[2:], *ctx.settings[-4:]) if need_w else None
    return dx, dw


def _input_backward(ops: Any, ctx: Any, g: Tensor) -> Gradients:
    dy, w = ctx.saved_tensors
    need_dy, need_w = ctx.needs_input_grad[:2]
    ddy = ops.grouped_conv2d(g, w, *ctx.settings[-4:]) if need_dy else None
    dw = ops.grouped_conv2d_weight(dy, g, w.shape[2:], *ctx.settings[-4:]) if need_w else None
    return ddy, dw


def _weight_backward(ops: Any, ctx: Any, gdw: Tensor) -> Gradients:
    dy, x = ctx.saved_tensors
    need_dy, need_x = ctx.needs_input_grad[:2]
    ddy = ops.grouped_conv2d(x, gdw, *ctx.settings[-4:]) if need_dy else None
    dx = _of_image(ops, dy, gdw, x, ctx.settings[-4:]) if need_x else None
    return ddy, dx


# There are no Triton kernels: on a GPU the convolution is cuDNN's.
define(
    f"grouped_conv2d(Tensor x, Tensor w, {GEOMETRY}) -> Tensor",
    grouped_conv2d,
    fake=_fake,
    backward=_backward,
)
define(
    f"grouped_conv2d_input(Tensor dy, Tensor w, SymInt[2] size, bool channels_last, {GEOMETRY}) -> "
    "Tensor",
    grouped_conv2d_input,
    fake=lambda dy, w, size, channels_last, *geometry: _image_like(
        dy, w, size, channels_last, geometry[-1]
    ),
    backward=_input_backward,
)
define(
    f"grouped_conv2d_weight(Tensor dy, Tensor x, SymInt[2] kernel, {GEOMETRY}) -> Tensor",
    grouped_conv2d_weight,
    fake=lambda dy, x, kernel, *geometry: x.new_empty(
        dy.shape[1], x.shape[1] // geometry[-1], *kernel
    ),
    backward=_weight_backward,
)
