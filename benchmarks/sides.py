"""The sides of a comparison: our backends, the eager reference, and ``torch.compile`` of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException

from benchmarks.measures import MEASURES, Call, Tensors, double_backward_as_a_function
from fastgan import ops
from fastgan.testing import OpSpec

OURS = {"cpu": ("cpu",), "cuda": ("cuda", "triton")}  # backends by type of device


class SideUnavailable(Exception):
    """This side cannot run here; the message says why, and stands under the table."""


@dataclass(frozen=True)
class Side:
    """``prepare(measure, tensors, options)`` gives the call to time, or raises :class:`SideUnavailable`."""

    name: str
    prepare: Callable[[str, Tensors, Mapping[str, Any]], Call]


def sides_of(spec: OpSpec, device: torch.device) -> list[Side]:
    """Every side, in the order of the table's columns; ours first."""
    ours = [Side(name, partial(_prepare_ours, spec, name)) for name in OURS[device.type]]
    reference = partial(spec.op, backend="reference")
    return [
        *ours,
        Side("eager", partial(_prepare, reference)),
        Side("compile", partial(_prepare_compiled, reference)),
    ]


def _prepare(op: Callable[..., Any], measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
    return MEASURES[measure](op, tensors, options)


def _prepare_ours(
    spec: OpSpec, name: str, measure: str, tensors: Tensors, options: Mapping[str, Any]
) -> Call:
    status = ops.backends()[name]
    if not status.usable:
        raise SideUnavailable(f"{status.reason}; {status.remedy}")
    return _prepare(partial(spec.op, backend=name), measure, tensors, options)


def _prepare_compiled(
    reference: Callable[..., Any], measure: str, tensors: Tensors, options: Mapping[str, Any]
) -> Call:
    torch._dynamo.reset()  # or the cases of one op run into the limit on recompilations
    compiled = partial(torch.compile, fullgraph=True, dynamic=False)
    try:
        if measure == "double_backward":
            if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
                raise SideUnavailable(
                    "this torch cannot compile torch.autograd.grad, and derives no compiled backward"
                )
            torch._dynamo.config.trace_autograd_ops = True
            call = double_backward_as_a_function(reference, tensors, options, compiled)
        else:
            call = _prepare(compiled(reference), measure, tensors, options)
        call()
    except TorchDynamoException as error:
        raise SideUnavailable(f"torch.compile failed: {str(error).strip().splitlines()[0]}") from error
    return call
