"""The description of an op that tests and benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Tensors = Sequence[Tensor | None]
#: ``(dtype, device) -> the op's positional tensors``, None for an absent one.
TensorsOf = Callable[[torch.dtype, torch.device], Tensors]


@dataclass(frozen=True)
class Sample:
    """One set of arguments.

    Args:
        id: readable, unique within the op.
        tensors: its tensors, with the same values at every call.
        options: keyword arguments.
        large: True for sizes that only real hardware and native CPU code run in reasonable time.
        small: True if it has few enough elements for ``gradcheck`` and is smooth at each of them.
    """

    id: str
    tensors: TensorsOf
    options: Mapping[str, Any] = field(default_factory=dict)
    large: bool = False
    small: bool = False


@dataclass(frozen=True)
class RegisteredCall:
    """Arguments of a registered op, forward or derivative, for ``torch.library.opcheck``."""

    id: str
    op: str
    args: Callable[[torch.dtype, torch.device], tuple[Any, ...]]


@dataclass(frozen=True)
class ErrorCase:
    """A wrong call, the error that it raises, and words of the message."""

    id: str
    call: Callable[[], Any]
    error: type[Exception]
    says: tuple[str, ...]


@dataclass(frozen=True)
class Saved:
    """The tensors that a call saves for its derivative.

    Args:
        kept: places of the tensors that are saved; ``"y"`` is the result.
        wanted: places of the tensors that require a gradient; None for all.
        more: numbers of elements of other tensors that are saved.
    """

    sample: Sample
    kept: Sequence[int | str]
    wanted: Sequence[int] | None = None
    more: Sequence[int] = ()

    @property
    def id(self) -> str:
        """Name the case by its sample and the tensors that require a gradient."""
        places = "all" if self.wanted is None else "".join(map(str, self.wanted))
        return f"{self.sample.id}-{places}"


@dataclass(frozen=True)
class Penalty:
    """A penalty on the gradient in the first tensor, and what its derivative is asked for.

    Args:
        needs: names of the gradients, as the schema of the second derivative has them.
        wanted: places of the tensors that require a gradient; None for all.
    """

    sample: Sample
    needs: frozenset[str]
    wanted: Sequence[int] | None = None

    @property
    def id(self) -> str:
        """Return the name of the sample."""
        return self.sample.id


@dataclass(frozen=True)
class BenchmarkCase:
    """A size at which an op is timed.

    Args:
        moved: the least bytes that each measure reads and writes, in multiples of the first
            tensor's size. Measures are ``forward``, ``forward_backward`` and ``double_backward``.
            The floor is their time at copy speed.
        products: floating-point operations of each measure in the direct form, if arithmetic is the
            limit. The floor is their time at the rate of a matrix product.
    """

    id: str
    tensors: TensorsOf
    options: Mapping[str, Any]
    moved: Mapping[str, float] = field(default_factory=dict)
    products: Mapping[str, float] | None = None

    @property
    def measures(self) -> Sequence[str]:
        """Measures that have a floor; only these are timed."""
        return list(self.moved if self.products is None else self.products)


@dataclass(frozen=True)
class OpSpec:
    """An op: its public function, its arguments in tests, and its exactness.

    Args:
        op: the public function; takes ``backend=``.
        tolerance: greatest error by dtype, relative to the largest magnitude of the float64
            reference's result.
        batched: places of the tensors that run along the batch, as the first does.
        scaling: sizes that show the growth of the forward pass. ``id`` is ``"panel/series"`` of the
            plot, or with ``products`` ``"panel"``: batch, channels or pixels.
        threaded: samples that several threads of a CPU share.
        saved, penalties: the tensors that calls save, and the derivatives that a penalty asks for.
        autocast: dtype of the result under autocast: ``"input"`` that of the first tensor,
            ``"region"`` that of autocast, as for convolutions, ``"float32"``.
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
    threaded: Sequence[Sample] = ()
    saved: Sequence[Saved] = ()
    penalties: Sequence[Penalty] = ()
    autocast: str = "input"
