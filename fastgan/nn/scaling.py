"""Parameters of layers with an equalised learning rate, scaled for many layers in one launch.

A layer has ``factors``, the names of its parameters and the numbers that multiply them at each use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

# Importing it registers the op.
from fastgan.ops import _scale_all  # noqa: F401
from fastgan.ops._checks import as_dtype
from fastgan.ops._library import choose_backend, ops_of

Scaled = dict[str, Tensor]
# Parameters that scaled_together has scaled, by the id of their layer.
_scaled: ContextVar[dict[int, Scaled]] = ContextVar("fastgan_scaled")


def scaled_parameters(layer: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return a layer's weight and bias times their factors, in the dtype."""
    found = scaled_before(layer)
    if found is None:
        found = {
            # A product with 1 would be a kernel of its own.
            name: parameter if factor == 1 else parameter * factor
            for name, factor in layer.factors.items()
            if (parameter := getattr(layer, name)) is not None
        }
    bias = found.get("bias")
    return as_dtype(found["weight"], dtype), None if bias is None else as_dtype(bias, dtype)


def scaled_before(layer: Any) -> Scaled | None:
    """Return the parameters of a layer that ``scaled_together`` has scaled, None without it."""
    return None if torch.compiler.is_compiling() else _scaled.get({}).get(id(layer))


def scaled_together(
    layers: Sequence[Any], halves: Sequence[Any] = (), dtype: torch.dtype = torch.half
) -> AbstractContextManager[Any]:
    """Scale the parameters of many layers in one launch, for their calls inside the block.

    Compiled code scales layer by layer, which its compiler fuses, and so does the reference.

    Args:
        layers: layers whose inputs have the dtype of their parameters.
        halves: layers whose inputs have ``dtype``.
        dtype: that half type.
    """
    every = [*halves, *layers]
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or not every:
        return nullcontext()
    chosen = choose_backend("scale_all", next(every[0].parameters()).device, None)
    if chosen == "reference":
        return nullcontext()
    found: dict[int, Scaled] = {}
    places: list[tuple[Scaled, str]] = []
    tensors: list[Tensor] = []
    factors: list[float] = []
    count = 0
    for i, layer in enumerate(every):
        own = found.setdefault(id(layer), {})
        for name, factor in layer.factors.items():
            parameter = getattr(layer, name)
            if parameter is None:
                continue
            if factor == 1 and i >= len(halves):
                own[name] = parameter
                continue
            places.append((own, name))
            # The node of a view tells at once whether a backward pass needs it, that of a leaf not.
            tensors.append(parameter[...] if parameter.requires_grad else parameter)
            factors.append(factor)
        if i < len(halves):
            count = len(tensors)
    if tensors:
        for (own, name), t in zip(places, ops_of(chosen).scale_all(tensors, factors, dtype, count)):
            own[name] = t
    return _using(found)


@contextmanager
def _using(found: dict[int, Scaled]) -> Iterator[None]:
    token = _scaled.set(found)
    try:
        yield
    finally:
        _scaled.reset(token)
