"""A network as a graph of torch.export."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.export import Dim

from fastgan._torch_private import drop_guards, op_namespace
from fastgan.export.files import ExportError
from fastgan.export.forms import Form
from fastgan.ops import use_backend
from fastgan.recipes.signature import Lambda


@torch.no_grad()
def trace(form: Form, *, dynamic_batch: bool, portable: bool) -> torch.export.ExportedProgram:
    """Return the graph of a form, for inference.

    Args:
        form: its example has N of at least 2 with ``dynamic_batch``, which leaves N open. Heights
            and widths that its signature leaves open stay open.
        portable: fastgan's ops as plain PyTorch, their references. Otherwise the ops of the backend
            chosen here stay in the graph, and whoever loads it imports ``fastgan.ops`` first.

    Raises:
        ExportError: the module is in training mode, refuses the example, or can't be captured.
    """
    module, example = form.module, form.example
    if module.training:
        raise ExportError(
            "The network must be in eval mode, got training mode: call eval() on it first."
        )
    if dynamic_batch and min(x.shape[0] for x in example) < 2:
        raise ExportError("The example of an open batch must have at least 2 samples.")
    try:
        module(*example)
    except ValueError as error:
        raise ExportError(f"The network can't be run as asked: {error}") from error
    shapes: Any = _dynamic_shapes(form, dynamic_batch)
    if shapes is not None and isinstance(module, Lambda):
        # It has one argument, *inputs.
        shapes = (shapes,)
    try:
        with use_backend("reference") if portable else nullcontext(), _choices_of(example):
            program = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
    except (
        Exception
    ) as error:  # torch.export raises whatever went wrong in the module or the tracer
        first = str(error).strip().partition("\n")[0]
        hint = "; a fixed batch (`batch` N) may do" if dynamic_batch else ""
        raise ExportError(
            f"torch.export can't capture the network ({type(error).__name__}: {first}){hint}."
        ) from error
    if form.signature is not None and form.signature.sizes is not None:
        # Guards keep the example's memory layouts, and would refuse a size of 1.
        drop_guards(program)
    return program


def _dynamic_shapes(form: Form, dynamic_batch: bool) -> tuple[dict[int, Any], ...] | None:
    """Return the open dimensions of each input, None if there are none."""
    signature = form.signature
    batch: Any = Dim.DYNAMIC
    if signature is not None and len(signature.inputs) > 1:  # one for all inputs
        batch = Dim("batch") if signature.group == 1 else signature.group * Dim("groups")
    sides: dict[int | str, Any] = {}
    if signature is not None and signature.sizes is not None:
        divisor = signature.sizes.divisor
        for name in ("height", "width"):
            sides[name] = Dim.DYNAMIC if divisor == 1 else divisor * Dim(f"_{name}")
    found = []
    for i in range(len(form.example)):
        shape = () if signature is None else signature.inputs[i].shape
        dims = {k: sides[size] for k, size in enumerate(shape, 1) if size in sides}
        found.append(dims | ({0: batch} if dynamic_batch else {}))
    return tuple(found) if any(found) else None


def has_own_ops(program: torch.export.ExportedProgram) -> bool:
    """Return True if a graph has ops of fastgan."""
    return any(op_namespace(node.target).startswith("fastgan") for node in program.graph.nodes)


@contextmanager
def _choices_of(example: Sequence[Tensor]) -> Iterator[None]:
    """Let convolutions choose their algorithm as for one image of the example.

    A choice by open sizes would set bounds on them in the graph.
    """
    # Imported by name: the function `conv2d` hides the package of that name.
    convolve = importlib.import_module("fastgan.ops.conv2d.convolve")
    suits = convolve.winograd_suits

    def for_one_image(
        chosen: str, x: Tensor, weight: Tensor, out_channels: int, size: Sequence[Any]
    ) -> bool:
        sides = [side.node.hint if isinstance(side, torch.SymInt) else side for side in size]
        one = SimpleNamespace(
            shape=(1, x.shape[1]), dtype=x.dtype
        )  # slicing x would go into the graph
        return bool(suits(chosen, one, weight, out_channels, sides))

    with mock.patch.object(convolve, "winograd_suits", for_one_image):
        yield
