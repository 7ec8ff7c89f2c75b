"""A network as a graph of torch.export."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from fastgan.export.files import ExportError
from fastgan.ops import use_backend


@torch.no_grad()
def trace(
    module: nn.Module, example: tuple[Tensor, ...], *, dynamic_batch: bool, portable: bool
) -> torch.export.ExportedProgram:
    """The graph of ``module(*example)``, for inference.

    Args:
        module: in eval mode.
        example: tensors ``[N, …]`` with N of at least 2; N is left open with ``dynamic_batch``.
        portable: fastgan's ops as plain PyTorch, their references. Otherwise the ops of the backend chosen here stay
            in the graph, and whoever loads it imports ``fastgan.ops`` first.

    Raises:
        ExportError: the module is in training mode, refuses the example, or can't be captured.
    """
    if module.training:
        raise ExportError(
            "The network is in training mode, and an export is for inference: call eval() on it first."
        )
    if dynamic_batch and min(x.shape[0] for x in example) < 2:
        raise ExportError("An example for any batch must have a batch of at least 2.")
    sizes = ({0: torch.export.Dim.DYNAMIC} for _ in example)
    try:
        module(*example)
    except ValueError as error:
        raise ExportError(f"The network can't be run as asked: {error}") from error
    try:
        with use_backend("reference") if portable else nullcontext(), _batch_left_open():
            return torch.export.export(
                module, example, dynamic_shapes=tuple(sizes) if dynamic_batch else None, strict=False
            )
    except Exception as error:  # torch.export raises whatever went wrong in the module or the tracer
        first = str(error).strip().partition("\n")[0]
        hint = "; a fixed batch (--batch N) may do" if dynamic_batch else ""
        raise ExportError(
            f"torch.export can't capture the network ({type(error).__name__}: {first}){hint}."
        ) from error


def has_own_ops(program: torch.export.ExportedProgram) -> bool:
    """Whether ops of fastgan are in the graph."""
    return any(
        isinstance(node.target, torch._ops.OpOverload) and node.target.namespace.startswith("fastgan")
        for node in program.graph.nodes
    )


@contextmanager
def _batch_left_open() -> Iterator[None]:
    """Convolutions choose their algorithm as for one image: a choice by the batch would bound it in the graph."""
    # by name: the package `conv2d` is hidden behind the function of that name
    convolve = importlib.import_module("fastgan.ops.conv2d.convolve")
    suits = convolve.winograd_suits

    def for_one_image(chosen: str, x: Tensor, *rest: Any) -> bool:
        return bool(suits(chosen, x[:1], *rest))

    with mock.patch.object(convolve, "winograd_suits", for_one_image):
        yield
