"""Measures: each makes a call from an op and its tensors, which returns named results.

- ``forward``: the op under ``torch.no_grad()``.
- ``forward_backward``: the op and the gradient in every input, with ``torch.autograd.grad``.
- ``double_backward``: the second derivative alone, which is the gradient of ``forward_backward``'s
  gradients in the incoming gradient and in every input. Its graph is built once, outside the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Results = dict[str, Tensor | None]
Call = Callable[[], Results]
Tensors = Sequence[Tensor | None]
Measure = Callable[[Callable[..., Tensor], Tensors, Mapping[str, Any]], Call]


def direction(shape: Sequence[int], seed: int, like: Tensor) -> Tensor:
    """Return a random tensor with the dtype and device of ``like``, and its strides if possible.

    The strides are those of ``like`` for the same shape. The values depend on shape and seed alone,
    and every dtype represents them exactly.
    """
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(list(shape), generator=generator).half().bfloat16()
    out = torch.empty_like(like) if like.shape == values.shape else like.new_empty(values.shape)
    return out.copy_(values)


def leaves_of(tensors: Tensors) -> list[Tensor | None]:
    return [None if t is None else t.detach().requires_grad_() for t in tensors]


def present(tensors: Tensors) -> list[Tensor]:
    return [t for t in tensors if t is not None]


def _names(prefix: str, tensors: Tensors) -> list[str]:
    return [f"{prefix}{i}" for i, t in enumerate(tensors) if t is not None]


def incoming_gradient(
    op: Callable[..., Tensor], tensors: Tensors, options: Mapping[str, Any]
) -> Tensor:
    with torch.no_grad():
        y = op(*tensors, **options)
    return direction(y.shape, 1, y)


def directions_of(tensors: Tensors) -> list[Tensor]:
    """Return the factors of the gradients in ``tensors`` for the next derivative."""
    return [direction(t.shape, 2 + i, t) for i, t in enumerate(present(tensors))]


def forward(op: Callable[..., Tensor], tensors: Tensors, options: Mapping[str, Any]) -> Call:
    def call() -> Results:
        with torch.no_grad():
            return {"y": op(*tensors, **options)}

    return call


def forward_backward(
    op: Callable[..., Tensor], tensors: Tensors, options: Mapping[str, Any]
) -> Call:
    leaves, names = leaves_of(tensors), ["y", *_names("d", tensors)]
    inputs, dy = present(leaves), incoming_gradient(op, tensors, options)

    def call() -> Results:
        y = op(*leaves, **options)
        return dict(zip(names, (y, *torch.autograd.grad(y, inputs, dy))))

    return call


def double_backward(
    op: Callable[..., Tensor], tensors: Tensors, options: Mapping[str, Any]
) -> Call:
    leaves, names = leaves_of(tensors), ["ddy", *_names("dd", tensors)]
    dy = incoming_gradient(op, tensors, options).requires_grad_()
    inputs, directions = present(leaves), directions_of(tensors)
    first = torch.autograd.grad(op(*leaves, **options), inputs, dy, create_graph=True)

    def call() -> Results:
        second = torch.autograd.grad(
            first, [dy, *inputs], directions, retain_graph=True, allow_unused=True
        )
        return dict(zip(names, second))

    return call


def double_backward_as_a_function(
    op: Callable[..., Tensor],
    tensors: Tensors,
    options: Mapping[str, Any],
    transform: Callable[[Any], Any],
) -> Call:
    """Return one function from the inputs of :func:`double_backward`, compiled by ``transform``.

    Autograd has no derivative of a compiled backward, so this function contains all derivatives. A
    compiler removes unneeded parts: the output and the first gradients. The rest reads and writes
    the same tensors as the timed pass of the other sides.
    """

    def second(tensors: Tensors, dy: Tensor, directions: list[Tensor]) -> tuple[Tensor | None, ...]:
        leaves = leaves_of(tensors)
        dy, inputs = dy.detach().requires_grad_(), present(leaves)
        first = torch.autograd.grad(op(*leaves, **options), inputs, dy, create_graph=True)
        return torch.autograd.grad(first, [dy, *inputs], directions, allow_unused=True)

    transformed, names = transform(second), ["ddy", *_names("dd", tensors)]
    dy, directions = incoming_gradient(op, tensors, options), directions_of(tensors)
    return lambda: dict(zip(names, transformed(tensors, dy, directions)))


MEASURES: dict[str, Measure] = {
    "forward": forward,
    "forward_backward": forward_backward,
    "double_backward": double_backward,
}
