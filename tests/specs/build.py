"""Builders of samples, wrong calls and benchmark cases, which the specs of all ops share."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import Options, activation
from tests.specs.layouts import Layout
from tests.specs.spec import ErrorCase, Sample, Tensors, TensorsOf


def tolerance(*values: float) -> dict[torch.dtype, float]:
    """Return the tolerances of float64, float32, float16 and bfloat16."""
    return dict(zip((torch.float64, torch.float32, torch.float16, torch.bfloat16), values))


#: One rounding to the dtype of the result.
ROUNDED_ONCE = tolerance(1e-12, 4e-6, 2e-3, 1.6e-2)
#: A convolution rounds to the half type before its epilogue does.
CONVOLUTION = tolerance(1e-12, 1e-5, 4e-3, 3e-2)


def values(shape: Sequence[int], seed: int, scale: float = 1.0) -> Tensor:
    """Draw normal values that bfloat16 holds exactly; ``scale`` is a power of two."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(list(shape), generator=generator, dtype=torch.float64)
    return drawn.bfloat16().double() * scale


def weight_values(shape: Sequence[int], seed: int) -> Tensor:
    """Draw weights with which a convolution about keeps the variance."""
    fan_in = shape[1] * shape[2] * shape[3]
    return values(shape, seed, 2.0 ** -round(torch.tensor(float(fan_in)).log2().item() / 2))


def zeros(*default: int) -> Callable[..., Tensor]:
    """Return a function that returns zeros of a shape, by default of this one."""
    return lambda *shape, **options: torch.zeros(shape or default, **options)


def normal(*shapes: Sequence[int] | None) -> list[Tensor | None]:
    """Draw normal float32 values of each shape, for timing; None for None."""
    generator = torch.Generator().manual_seed(0)
    return [None if s is None else torch.randn(list(s), generator=generator) for s in shapes]


def away_from_kinks(
    x: Tensor, v_of: Callable[[Tensor], Tensor], options: Options, *, times: int = 50
) -> Tensor:
    """Move elements of ``x`` until ``v_of(x)`` is near no kink of the activation and the clamp."""
    act, alpha, gain, clamp = options
    for _ in range(times):
        v = v_of(x)
        doubtful = v.abs() < 0.02
        if clamp:
            doubtful |= ((activation(v, act, alpha) * gain).abs() - clamp).abs() < 0.04 * clamp
        if not doubtful.any():
            break
        x = torch.where(doubtful, (x + 0.1875).bfloat16().double(), x)
    return x


def on(dtype: torch.dtype, device: torch.device, *tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else t.to(device, dtype) for t in tensors]


def leaves(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    return tuple(None if t is None else t.requires_grad_() for t in tensors)


def tensors_of(
    draw: Callable[[], Tensors], layout: Layout | None = None, laid_out: Sequence[int] = (0,)
) -> TensorsOf:
    """Return the tensors of a sample: those that ``draw`` returns, some of them in a layout."""

    def tensors(dtype: torch.dtype, device: torch.device) -> Tensors:
        found = on(dtype, device, *draw())
        for i in laid_out if layout is not None else ():
            t = found[i]
            found[i] = None if t is None or layout is None else layout(t)
        return found

    return tensors


def sample(
    id: str,
    draw: Callable[[], Tensors],
    layout: Layout | None = None,
    *,
    laid_out: Sequence[int] = (0,),
    large: bool = False,
    small: bool = False,
    **options: Any,
) -> Sample:
    return Sample(id, tensors_of(draw, layout, laid_out), options, large=large, small=small)


def sample_of_one(
    id: str,
    shape: Sequence[int],
    layout: Layout | None = None,
    *,
    large: bool = False,
    **options: Any,
) -> Sample:
    """Return a sample of an op of one tensor."""
    # The seed is none of those of the directions of derivatives.
    small = id.startswith("small")
    return sample(id, lambda: [values(shape, 9)], layout, large=large, small=small, **options)


def refusals(op: Callable[..., Any], **right: Any) -> Callable[..., ErrorCase]:
    """Return a function that makes wrong calls: ``op`` with other arguments than ``right``.

    Its arguments are an id, the error, the words of its message and the arguments that differ;
    ``by`` is another op.
    """

    def refused(
        id: str, error: type[Exception], *says: str, by: Callable[..., Any] = op, **wrong: Any
    ) -> ErrorCase:
        return ErrorCase(id, lambda: by(**{**right, **wrong}), error, says)

    return refused


def launch_refused(module: str, kernel: str, shape: Sequence[int], *rest: Any) -> ErrorCase:
    """Return a call of a Triton kernel for a tensor that its 32-bit numbers can't hold."""

    def call() -> Any:
        kernels = importlib.import_module(f"fastgan.ops.{module}.triton")
        return getattr(kernels, kernel)(torch.empty(shape, device="meta"), *rest)

    return ErrorCase(f"triton-{kernel}", call, ValueError, (module, str(list(shape)), "too large"))
