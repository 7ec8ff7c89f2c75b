"""torch.compile for a function that differentiates inside, once or twice."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import torch

from fastgan._torch_private import can_trace_gradients, dynamo_error, dynamo_settings

log = logging.getLogger("fastgan")

MAX_GRAPHS = (
    32  # of one function: networks that grow to 1024×1024 have one for each of nine resolutions
)

_told: set[str] = set()


def compiled(function: Callable[..., Any], *, backend: str = "inductor") -> Callable[..., Any]:
    """`function` in one graph, with the calls of `torch.autograd.grad` in it.

    A function compiled without them can't be differentiated twice. Where this torch can't trace them or the
    compiler fails, `function` itself runs from then on, and a warning says so once.
    """
    if not _can_trace():
        _tell(f"torch {torch.__version__} can't compile a step that differentiates inside")
        return function
    options: dict[str, Any] = {
        "fullgraph": True, "backend": backend, "isolate_recompiles": True,
        "dynamic": False,  # sizes change where networks grow, and each has a graph of its own
    }  # fmt: skip
    fast: Callable[..., Any] | None = torch.compile(function, **options)

    def run(*args: Any) -> Any:
        nonlocal fast
        if fast is not None:
            try:
                with dynamo_settings(trace_autograd_ops=True, recompile_limit=MAX_GRAPHS):
                    return fast(*args)
            except dynamo_error() as error:  # nothing has run yet
                fast = None
                _tell(f"the step can't be compiled here ({_first_lines(error)})")
        return function(*args)

    return run


def _can_trace() -> bool:
    """Whether this torch traces calls of autograd.grad, and keeps the graphs of functions that share code apart."""
    isolates = "isolate_recompiles" in inspect.signature(torch.compile).parameters
    return isolates and can_trace_gradients()


def _first_lines(error: Exception) -> str:
    """What happened, without the pages of advice and code that follow it."""
    return " ".join(str(error).split("\n\n")[0].split())


def _tell(problem: str) -> None:
    if problem not in _told:
        _told.add(problem)
        log.warning("%s: it runs eagerly, on the same ops.", problem)
