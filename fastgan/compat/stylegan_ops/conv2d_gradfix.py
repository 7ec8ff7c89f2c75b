"""The official module ``conv2d_gradfix``: convolutions with optional weight gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops

__all__ = ["conv2d", "conv_transpose2d", "no_weight_gradients"]

Pair = int | Sequence[int]

enabled = True
"""False selects torch's own convolutions."""
weight_gradients_disabled = False
"""True inside :func:`no_weight_gradients`."""


@contextlib.contextmanager
def no_weight_gradients(disable: bool = True) -> Iterator[None]:
    """Set the weight gradients of this module's convolutions to zero in backward passes.

    The backward pass has to be inside the block, not the convolution. A later backward pass, such
    as that of a gradient penalty, has all weight gradients. Compiled code ignores the block.

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


def _zero_if_disabled(gradient: Tensor) -> Tensor:
    return torch.zeros_like(gradient) if weight_gradients_disabled else gradient


def _with_hook(weight: Tensor) -> Tensor:
    """Return an alias of the weight whose gradient :func:`no_weight_gradients` sets to zero."""
    if not weight.requires_grad or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return weight
    alias = weight.view_as(weight)
    alias.register_hook(_zero_if_disabled)
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
    """Call :func:`fastgan.ops.conv2d`."""
    if not enabled:
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    return ops.conv2d(
        input,
        _with_hook(weight),
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
    """Call :func:`fastgan.ops.conv_transpose2d`, or torch's if it lacks an option.

    It lacks ``output_padding`` and ``dilation``.
    """
    plain = output_padding in (0, (0, 0), [0, 0]) and dilation in (1, (1, 1), [1, 1])
    if not enabled or not plain:
        weight = _with_hook(weight) if enabled else weight
        return F.conv_transpose2d(
            input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    y = ops.conv_transpose2d(
        input, _with_hook(weight), stride=stride, padding=padding, groups=groups
    )
    return y if bias is None else ops.bias_act(y, bias, act="linear")
