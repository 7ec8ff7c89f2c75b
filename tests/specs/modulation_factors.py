"""The :class:`OpSpec` of modulation_factors.

The op returns weights, styles and a scale. Tests see them in one row.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._library import choose_backend
from fastgan.ops.modulation_factors import modulation_factors, reference
from tests.specs.build import leaves, on, sample, tolerance, values, weight_values
from tests.specs.layouts import Layout, channels_last, every_other
from tests.specs.spec import ErrorCase, OpSpec, RegisteredCall, Sample


def factors(
    weight: Tensor,
    styles: Tensor,
    gain: Tensor | None = None,
    *,
    backend: str | None = None,
    **options: Any,
) -> Tensor:
    """Return all results in one row, in the dtype of the weights."""
    chosen = choose_backend("modulation_factors", weight.device, backend)
    dtype, wide = weight.dtype, torch.promote_types(weight.dtype, torch.float32)
    weight, styles = weight.to(wide), styles.to(wide)
    gain = None if gain is None else gain.to(wide)
    found = modulation_factors(chosen, weight, styles, gain, dtype=dtype, **options)
    return torch.cat([t.flatten() for t in found if t is not None])


def _values(
    batch: int, shape: Sequence[int], gain: Sequence[int] | None, seed: int
) -> list[Tensor | None]:
    styles = 1 + values((batch, shape[1]), seed + 1, 0.5)
    given = None if gain is None else 1 + values(gain, seed + 2, 0.25)
    return [weight_values(shape, seed), styles, given]


def _sample(
    id: str,
    batch: int,
    shape: Sequence[int],
    layout: Layout | None = None,
    *,
    gain: Sequence[int] | None = None,
    small: bool = False,
    **options: Any,
) -> Sample:
    return sample(id, lambda: _values(batch, shape, gain, 3), layout, small=small, **options)


_HALF = {"normalize": True, "channels_last": True}

_SAMPLES = [
    # The divisors count as constants, which a difference quotient doesn't know.
    _sample("small", 3, (3, 2, 3, 3), gain=(2,), channels_last=True, small=True),
    _sample("small-flipped", 2, (3, 4, 3, 2), gain=(2, 4), flip=True, small=True),
    _sample("channels_last", 3, (4, 3, 3, 3), channels_last=True),
    _sample("half", 5, (7, 6, 3, 3), **_HALF),
    _sample("half-flipped", 2, (6, 20, 3, 3), gain=(), flip=True, **_HALF),
    _sample("half-contiguous", 4, (9, 5, 3, 3), every_other, normalize=True),
    _sample("half-contiguous-flipped", 4, (9, 5, 2, 3), normalize=True, flip=True),
    _sample("vectors", 9, (40, 64, 3, 3), **_HALF),
    _sample("odd", 3, (33, 67, 5, 5), gain=(3, 67), **_HALF),
    _sample("wide", 2, (5, 1100, 3, 3), channels_last, **_HALF),
    _sample("many-taps", 2, (3, 2, 23, 29), normalize=True, flip=True),
    _sample("pointwise", 20, (32, 48, 1, 1), gain=(48,), **_HALF),
    _sample("to-image", 3, (3, 70, 1, 1), demodulate=False, **_HALF),
    _sample("plain", 3, (10, 12, 3, 3)),
    _sample("empty-batch", 0, (3, 4, 3, 3), **_HALF),
]


def _call(
    id: str, op: str, gain: bool, *settings: bool, needs: Sequence[bool] = ()
) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        drawn = _values(2, (4, 5, 3, 3), (2, 5) if gain else None, 1)
        weight, styles, given = on(dtype, device, *drawn)
        if op == "modulation_factors":
            return *leaves(weight, styles, given), dtype, *settings
        assert weight is not None and styles is not None
        found = reference.modulation_factors_with_sums(weight, styles, given, dtype, *settings)
        grads = [torch.cos(3 * t) if t.numel() else None for t in found[:3]]
        demodulate, normalize, _, flip = settings
        return (
            *leaves(*grads, weight, styles, given), *found[3:], dtype, demodulate, normalize, flip,
            *needs,
        )  # fmt: skip

    return RegisteredCall(id, op, args)


_ALL = (True, True, True)
_REGISTERED = [
    _call("forward", "modulation_factors", False, True, True, True, True),
    _call("forward-plain", "modulation_factors", True, True, False, False, False),
    _call("forward-to-image", "modulation_factors", True, False, True, False, False),
    _call("backward", "modulation_factors_backward", True, True, True, True, True, needs=_ALL),
    _call(
        "backward-plain", "modulation_factors_backward", True, True, False, False, False, needs=_ALL
    ),
]


def _too_large() -> Any:
    kernels = importlib.import_module("fastgan.ops.modulation_factors.triton")
    weight = torch.empty(1, 2**28, 3, 3, device="meta")
    return kernels.modulation_factors(weight, weight[..., 0, 0], None, torch.half, *[True] * 4)


_ERRORS = [
    ErrorCase(
        "triton-too-large", _too_large, ValueError, ("weights", "[1, 268435456, 3, 3]", "too large")
    )
]

MODULATION_FACTORS = OpSpec(
    name="modulation_factors",
    op=factors,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[],
    # Derivatives cancel: the gradient along the weights is small beside that of each.
    tolerance=tolerance(1e-11, 2e-5, 8e-3, 6e-2),
    batched=(1, 2),
)
