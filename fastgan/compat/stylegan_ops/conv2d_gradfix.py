"""Their ``conv2d_gradfix``: convolutions whose weight gradients can be left out of a backward pass."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops

__all__ = ["conv2d", "conv_transpose2d", "no_weight_gradients"]

Pair = int | Sequence[int]

enabled = True  #: False: torch's own convolutions
weight_gradients_disabled = False  #: set by :func:`no_weight_gradients`


@contextlib.contextmanager
def no_weight_gradients(disable: bool = True) -> Iterator[None]:
    """While it is active, a backward pass gives the weights of convolutions of this module zero gradients.

    It is the backward pass that has to lie inside the block, not the convolution: what is differentiated again later, such
    as a penalty on the gradient in the images, has all its weight gradients then. Not looked at by compiled code.

    Args:
        disable: False for a block without effect.
    """
    global weight_gradients_disabled
    before = weight_gradients_disabled
    weight_gradients_disabled = before or disable
    try:
        yield
    finally:
        weight_gradients_disabled = before


def _kept(gradient: Tensor) -> Tensor:
    return torch.zeros_like(gradient) if weight_gradients_disabled else gradient


def _watched(weight: Tensor) -> Tensor:
    """The weight by way of an alias, whose gradient :func:`no_weight_gradients` leaves out."""
    if not weight.requires_grad or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return weight
    alias = weight.view_as(weight)
    alias.register_hook(_kept)
    return alias


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """:func:`fastgan.ops.conv2d`."""
    if not enabled:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return ops.conv2d(
        input,
        _watched(weight),
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    """:func:`fastgan.ops.conv_transpose2d`; torch's with ``output_padding`` or ``dilation``, which that hasn't."""
    plain = output_padding in (0, (0, 0), [0, 0]) and dilation in (1, (1, 1), [1, 1])
    if not enabled or not plain:
        weight = _watched(weight) if enabled else weight
        return F.conv_transpose2d(
            input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    y = ops.conv_transpose2d(input, _watched(weight), stride=stride, padding=padding, groups=groups)
    return y if bias is None else ops.bias_act(y, bias, act="linear")
