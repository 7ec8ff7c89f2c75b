"""scale_all: many tensors times numbers, in one launch for all of them.

``scale_all`` multiplies and then converts, ``scale_all_adjoint`` converts and then multiplies. Each
is the other's derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan._torch_private import copy_all_, multiply_all
from fastgan.ops._define import define

Tensors = Sequence[Tensor]


def _converted(tensors: Tensors, dtype: torch.dtype, count: int) -> list[Tensor]:
    """Convert the first ``count`` tensors."""
    made = [torch.empty_like(t, dtype=dtype) for t in tensors[:count]]
    copy_all_(made, tensors[:count])
    return [*made, *tensors[count:]]


def scale_all(
    tensors: Tensors, scales: Sequence[float], dtype: torch.dtype, count: int
) -> list[Tensor]:
    """Return each tensor times its number, the first ``count`` of them in ``dtype``."""
    scaled = multiply_all(tensors, scales)
    return _converted(scaled, dtype, count)


def scale_all_adjoint(
    tensors: Tensors, scales: Sequence[float], dtype: torch.dtype, count: int
) -> list[Tensor]:
    """Return each tensor times its number, the first ``count`` of them as ``dtype`` before."""
    return multiply_all(_converted(tensors, dtype, count), scales)


def _fake(tensors: Tensors, scales: Any, dtype: torch.dtype, count: int) -> list[Tensor]:
    first = [torch.empty_like(t, dtype=dtype) for t in tensors[:count]]
    return [*first, *(torch.empty_like(t) for t in tensors[count:])]


def _context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    tensors, ctx.scales, _, ctx.count = inputs
    ctx.dtype = tensors[0].dtype
    # Nothing depends on some of them.
    ctx.set_materialize_grads(False)


def _backward_by(name: str) -> Callable[..., tuple[Any, ...]]:
    def backward(ops: Any, ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
        needed = ctx.needs_input_grad[0]
        places = [i for i, grad in enumerate(grads) if grad is not None and needed[i]]
        found: list[Tensor | None] = [None] * len(grads)
        if places:
            results = getattr(ops, name)(
                [grads[i] for i in places],
                [ctx.scales[i] for i in places],
                ctx.dtype,
                sum(i < ctx.count for i in places),
            )
            for i, result in zip(places, results):
                found[i] = result
        return (found,)

    return backward


def _define(kernel: Callable[..., list[Tensor]], backward: str) -> None:
    schema = "(Tensor[] tensors, float[] scales, ScalarType dtype, int count) -> Tensor[]"
    define(
        f"{kernel.__name__}{schema}",
        kernel,
        fake=_fake,
        setup_context=_context,
        backward=_backward_by(backward),
    )


_define(scale_all, "scale_all_adjoint")
_define(scale_all_adjoint, "scale_all")
