"""The description of an op that tests and benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One set of arguments.

    Args:
        id: readable, unique within the op.
        tensors: ``(dtype, device) -> the op's positional tensors``; the same values at every call. None for an absent one.
        options: keyword arguments.
        large: exercises sizes that only real hardware and the native CPU code run in reasonable time.
        small: few enough elements for ``gradcheck``, smooth at every element.
    """

    id: str
    tensors: Callable[[torch.dtype, torch.device], Sequence[Tensor | None]]
    options: Mapping[str, Any] = field(default_factory=dict)
    large: bool = False
    small: bool = False


@dataclass(frozen=True)
class RegisteredCall:
    """Arguments for one registered op, forward or derivative, as ``torch.library.opcheck`` takes them."""

    id: str
    op: str
    args: Callable[[torch.dtype, torch.device], tuple[Any, ...]]


@dataclass(frozen=True)
class ErrorCase:
    """A wrong call, what it raises, and words that its message must hold."""

    id: str
    call: Callable[[], Any]
    error: type[Exception]
    says: tuple[str, ...]


@dataclass(frozen=True)
class BenchmarkCase:
    """A size to time an op at.

    Args:
        moved: bytes that each measure has to read and write at the least, by ``forward``, ``forward_backward`` and
            ``double_backward``, in multiples of the size of the first tensor. The floor is their time at copy speed.
        products: instead, where arithmetic is the limit: the floating-point operations of each measure in the direct form.
            The floor is their time at the rate of a matrix product.
    """

    id: str
    tensors: Callable[[torch.dtype, torch.device], Sequence[Tensor | None]]
    options: Mapping[str, Any]
    moved: Mapping[str, float] = field(default_factory=dict)
    products: Mapping[str, float] | None = None

    @property
    def measures(self) -> Sequence[str]:
        """Those that have a floor, which are the ones that are timed."""
        return list(self.moved if self.products is None else self.products)


@dataclass(frozen=True)
class OpSpec:
    """One op: its public function, what to call it with, and how exact it is.

    Args:
        op: the public function; takes ``backend=``.
        tolerance: greatest error by dtype, relative to the greatest magnitude of the float64 reference's result.
        batched: which of the tensors run along the batch, as the first does.
        scaling: sizes that show how the forward pass grows; ``id`` is ``"panel/series"`` of the plot, with ``products``
            ``"panel"``: batch, channels or pixels.
    """

    name: str
    op: Callable[..., Tensor]
    samples: Sequence[Sample]
    registered: Sequence[RegisteredCall]
    errors: Sequence[ErrorCase]
    benchmarks: Sequence[BenchmarkCase]
    tolerance: Mapping[torch.dtype, float]
    batched: Sequence[int] = (0,)
    scaling: Sequence[BenchmarkCase] = ()
