"""all_reduce_sum: a sum over all processes. The maths is in this folder's README."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from fastgan.ops._define import define

__all__ = ["all_reduce_sum"]


def all_reduce_sum(x: Tensor) -> Tensor:
    """Return the sum of ``x`` over all ranks of torch.distributed, on each of them.

    It is its own derivative, so any order of derivative is right, and it compiles. All ranks must
    call it, and differentiate it, in the same order.

    Args:
        x: a tensor of the same shape and dtype on every rank, on a device that the process group
            serves.

    Returns:
        A contiguous tensor of the shape and dtype of ``x``.

    Raises:
        ValueError: torch.distributed isn't initialised.
    """
    result: Tensor = torch.ops.fastgan.all_reduce_sum(x)
    return result


def _sum(x: Tensor) -> Tensor:
    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def _fake(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _backward(ops: Any, ctx: Any, grad: Tensor) -> tuple[Tensor]:
    return (ops.all_reduce_sum(grad),)


define(
    "all_reduce_sum(Tensor x) -> Tensor",
    _sum,
    fake=_fake,
    # The derivative needs the incoming gradient alone.
    setup_context=lambda ctx, inputs, output: None,
    backward=_backward,
)
