"""Deterministic algorithms for the steps of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fastgan.errors import FastganError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


class NotDeterministic(FastganError):
    """`deterministic` is set, but a step needs an operation that has no deterministic algorithm."""


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch, cuDNN and cuBLAS take deterministic algorithms alone inside the block.

    Settings, and the variable that cuBLAS reads, are as before afterwards.

    Args:
        wanted: False changes nothing.

    Raises:
        NotDeterministic: torch has no deterministic algorithm for an operation in the block.
    """
    if not wanted:
        yield
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    cudnn = torch.backends.cudnn
    own, benchmark = cudnn.deterministic, cudnn.benchmark
    workspace = os.environ.get(WORKSPACE)
    torch.use_deterministic_algorithms(True)
    # Filling new memory would cost time, and find defects rather than prevent differences.
    memory.fill_uninitialized_memory = False
    cudnn.deterministic, cudnn.benchmark = True, False
    os.environ.setdefault(WORKSPACE, ":4096:8")
    try:
        yield
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        operation = str(error).partition(" does not have")[0]
        raise NotDeterministic(
            f"`deterministic` needs deterministic algorithms, but torch has none of {operation}: "
            f"leave it out, or train with other settings."
        ) from error
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        memory.fill_uninitialized_memory = fills
        cudnn.deterministic, cudnn.benchmark = own, benchmark
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
