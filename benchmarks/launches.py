"""Counts of a step's kernels and of their bytes: no measurement, on any device."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ALLOCATIONS = (
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "_unsafe_view",
)


class Launches(TorchDispatchMode):
    """Counter of operators below autograd that compute; views and allocations launch nothing.

    Attributes:
        count: operators. On a GPU each has at least one launch, which fusion may remove.
        moved: bytes of their tensor arguments and results, each read or written once. This is the
            cost of a memory-bound step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not (func.is_view or name in ALLOCATIONS or name == "detach"):
            tensors = [t for t in tree_leaves((args, kwargs, results)) if isinstance(t, Tensor)]
            self.count += 1
            self.moved += sum(t.numel() * t.element_size() for t in tensors)
        return results
