"""Sides of a comparison: our backends, the eager reference, and ``torch.compile`` of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from benchmarks.measures import MEASURES, Call, Tensors, double_backward_as_a_function, present
from fastgan import ops
from tests.specs import OpSpec

OURS = {"cpu": ("cpu",), "cuda": ("cuda", "triton")}  # backends by device type


class SideUnavailable(Exception):
    """This side doesn't run here; the message is the reason, which is below the table."""


@dataclass(frozen=True)
class Side:
    """A side: ``prepare(measure, tensors, options)`` returns the call to time.

    It raises :class:`SideUnavailable` if the side doesn't run.

    Args:
        checked: it computes the op, so its results are checked. A yardstick is only timed.
    """

    name: str
    prepare: Callable[[str, Tensors, Mapping[str, Any]], Call]
    checked: bool = True


def sides_of(spec: OpSpec, device: torch.device, *, eager: str = "eager") -> list[Side]:
    """Return every side in the order of columns, ours first; ``eager`` is the reference's name."""
    ours = [Side(name, partial(_prepare_ours, spec, name)) for name in OURS[device.type]]
    reference = partial(spec.op, backend="reference")
    return [
        *ours,
        Side(eager, partial(_prepare, reference)),
        Side("compile", partial(_prepare_compiled, reference)),
    ]


def _prepare(
    op: Callable[..., Any], measure: str, tensors: Tensors, options: Mapping[str, Any]
) -> Call:
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
    # Otherwise the cases of one op reach the limit on recompilations.
    torch._dynamo.reset()
    compiled = partial(torch.compile, fullgraph=True, dynamic=False)
    try:
        if measure == "double_backward":
            if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
                raise SideUnavailable(
                    "this torch cannot compile torch.autograd.grad, "
                    "and derives no compiled backward"
                )
            torch._dynamo.config.trace_autograd_ops = True
            call = double_backward_as_a_function(reference, tensors, options, compiled)
        else:
            call = _prepare(compiled(reference), measure, tensors, options)
        call()
    except TorchDynamoException as error:
        raise SideUnavailable(
            f"torch.compile failed: {str(error).strip().splitlines()[0]}"
        ) from error
    return call


def torch_conv2d(name: str, layout: torch.memory_format, *, checked: bool) -> Side:
    """``F.conv2d`` of image and weights in this layout, padded by half the kernel."""

    def conv2d(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)

    def prepare(measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
        pair = [t.contiguous(memory_format=layout) for t in present(tensors[:2])]
        return MEASURES[measure](conv2d, pair, {})

    return Side(name, prepare, checked)
