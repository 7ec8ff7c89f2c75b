"""Derivatives without kernels, which autograd takes of an op's reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def derived(
    results_of: Callable[..., Sequence[Tensor]],
    tensors: Sequence[Tensor | None],
    grads: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """Return the gradients in ``tensors`` of ``results_of(*tensors)``, differentiable to any order.

    Args:
        results_of: plain PyTorch.
        tensors: its arguments.
        grads: the incoming gradient of each result; None for zero.
    """
    with torch.enable_grad():
        # As views, inputs that depend on each other count once, and later derivatives pass
        # through them.
        inputs = [
            None if t is None else t.view_as(t) if t.requires_grad else t.detach().requires_grad_()
            for t in tensors
        ]
        results = results_of(*inputs)
    pairs = [(r, g) for r, g in zip(results, grads) if g is not None and r.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    found = iter(
        torch.autograd.grad(
            [r for r, _ in pairs], [t for t in inputs if t is not None], [g for _, g in pairs],
            create_graph=torch.is_grad_enabled(), allow_unused=True,
        )
    )  # fmt: skip
    return tuple(None if t is None else next(found) for t in inputs)
