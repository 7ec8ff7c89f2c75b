"""torch.compile for a function that differentiates inside, once or twice."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import torch

from fastgan._torch_private import can_trace_gradients, dynamo_error, dynamo_settings

log = logging.getLogger("fastgan")

MAX_GRAPHS = 32
"""Most graphs of one function; networks that grow to 1024×1024 need one for each of 9 sizes."""

_warned: set[str] = set()


def compiled(function: Callable[..., Any], *, backend: str = "inductor") -> Callable[..., Any]:
    """Compile ``function`` into one graph that contains its calls of ``torch.autograd.grad``.

    A function compiled without them can't be differentiated twice. If torch can't trace them, or
    the compiler fails, ``function`` itself runs from then on. A warning says so once.

    Args:
        function: function of tensors, with gradients of its own.
        backend: torch.compile's backend.
    """
    if not _can_trace():
        _warn_once(f"torch {torch.__version__} can't compile a step that differentiates inside")
        return function
    options: dict[str, Any] = {
        "fullgraph": True,
        "backend": backend,
        "isolate_recompiles": True,
        # Sizes change only where networks grow; each size gets its own graph.
        "dynamic": False,
    }
    fast: Callable[..., Any] | None = torch.compile(function, **options)

    def run(*args: Any) -> Any:
        nonlocal fast
        if fast is not None:
            try:
                with dynamo_settings(trace_autograd_ops=True, recompile_limit=MAX_GRAPHS):
                    return fast(*args)
            except dynamo_error() as error:
                # Nothing has run yet, so the function itself may.
                fast = None
                _warn_once(f"the step can't be compiled here ({_first_lines(error)})")
        return function(*args)

    return run


def _can_trace() -> bool:
    """Return True if torch traces ``autograd.grad`` and can isolate graphs that share code."""
    isolates = "isolate_recompiles" in inspect.signature(torch.compile).parameters
    return isolates and can_trace_gradients()


def _first_lines(error: Exception) -> str:
    """Return an error's first paragraph, without the advice and code that follow."""
    return " ".join(str(error).split("\n\n")[0].split())


def _warn_once(problem: str) -> None:
    if problem not in _warned:
        _warned.add(problem)
        log.warning("%s: it runs eagerly, on the same ops.", problem)
