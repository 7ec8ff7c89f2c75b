"""Results that depend on numbers alone, which a training loop asks for again and again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def cached_in_eager(function: F) -> F:
    """Cache the results of a pure function by its arguments: whole numbers, and tuples of them.

    Compiled code traces the function itself, since Dynamo warns of caches. So do symbolic sizes,
    which can't be looked up.
    """
    cached = functools.lru_cache(maxsize=4096)(function)

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():
            return function(*args)
        try:
            return cached(*args)
        # An argument has no hash.
        except TypeError:
            return function(*args)

    return call  # type: ignore[return-value]
