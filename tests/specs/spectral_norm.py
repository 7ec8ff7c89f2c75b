"""The :class:`OpSpec` of spectral_norm, and the layers of a discriminator for timing.

The op takes and returns lists. Tests see it as a function of the weights, with one result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.spectral_norm.reference import sizes_of
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]
Vectors = tuple[list[Tensor], list[Tensor]]

#: Weights of a residual discriminator like SNGAN's: 64 to 1024 channels and a linear layer, 57
#: million parameters.
DISCRIMINATOR: Sequence[tuple[int, ...]] = (
    *((64, 3, 3, 3), (64, 64, 3, 3), (64, 3, 1, 1)),
    *((128, 64, 3, 3), (128, 128, 3, 3), (128, 64, 1, 1)),
    *((256, 128, 3, 3), (256, 256, 3, 3), (256, 128, 1, 1)),
    *((512, 256, 3, 3), (512, 512, 3, 3), (512, 256, 1, 1)),
    *((1024, 512, 3, 3), (1024, 1024, 3, 3), (1024, 512, 1, 1)),
    *((1024, 1024, 3, 3), (1024, 1024, 3, 3), (1024, 1024, 3, 3), (1024, 1024, 3, 3)),
    (1, 1024),
)


def vectors_for(weights: Sequence[Tensor], dims: Sequence[int]) -> Vectors:
    """Draw u and v for each weight, which bfloat16 holds exactly.

    Their lengths are about 1. The same sizes give the same values.
    """
    vectors = [
        F.normalize(torch.sin(2.3 * torch.arange(1, size + 1, dtype=torch.float64)), dim=0)
        .bfloat16()
        .to(weight.device, weight.dtype)
        for weight, dim in zip(weights, dims)
        for size in sizes_of(weight, dim)
    ]
    return vectors[::2], vectors[1::2]


def normalised(
    *weights: Tensor,
    dims: Sequence[int] | None = None,
    n_power_iterations: int = 1,
    backend: str | None = None,
) -> Tensor:
    """Return all normalised weights and all sigmas in one row, in the dtype of the weights."""
    us, vs = vectors_for(weights, [0] * len(weights) if dims is None else dims)
    found, sigmas, _, _ = ops.spectral_norm(
        weights, us, vs, n_power_iterations=n_power_iterations, dims=dims, backend=backend
    )
    return torch.cat([*(t.flatten() for t in found), sigmas.to(weights[0].dtype)])


def _values(shapes: Sequence[Sequence[int]], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(list(s), generator=generator, dtype=torch.float64).bfloat16().double()
        for s in shapes
    ]


def _sample(
    id: str,
    shapes: Sequence[Sequence[int]],
    layout: Layout | None = None,
    *,
    small: bool = False,
    large: bool = False,
    **options: Any,
) -> Sample:
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        weights = [t.to(device, dtype) for t in _values(shapes, len(id))]
        return weights if layout is None else [layout(t) for t in weights]

    return Sample(id, tensors, options, small=small, large=large)


_LAYERS = [(4, 3, 3, 3), (6, 4, 2, 2), (1, 6)]

_SAMPLES = [
    # The derivative takes u and v as constants. For a difference quotient only 0 iterations keep
    # them. The values follow from the length of the id; these don't cancel in sigma, whose square
    # divides.
    _sample("no-steps", _LAYERS, n_power_iterations=0, small=True),
    _sample(
        "transposed-small", [(3, 4, 2, 2), (2, 5)], dims=[1, 1], n_power_iterations=0, small=True
    ),
    _sample("one-step", _LAYERS),
    _sample("three-steps", _LAYERS, n_power_iterations=3),
    _sample("vectors", [(70, 16, 3, 3), (8, 144)]),
    _sample("odd", [(67, 7, 3, 3), (5, 1031), (130, 27)]),
    _sample(
        "transposed",
        [(8, 6, 4, 4), (33, 3, 4, 4), (5, 7, 1, 1)],
        dims=[1, 1, 1],
        n_power_iterations=2,
    ),
    _sample("volumes", [(3, 4, 2, 2, 2), (4, 3, 3), (3, 5, 2, 2, 2)], dims=[0, 1, 1]),
    _sample("rows-of-one", [(1, 300), (300, 1), (5, 2)]),
    _sample("empty", [(0, 4), (3, 4), (3, 0)]),
    _sample("channels_last", [(6, 5, 3, 3), (16, 8, 3, 3)], channels_last),
    _sample("strided", [(6, 4, 3, 5), (4, 6)], transposed),
    _sample("every-other", [(6, 4, 3, 5), (4, 6)], every_other, dims=[0, 1]),
    _sample("expanded", [(6, 4, 3, 5)], expanded),
    _sample("unaligned", [(8, 16), (4, 4, 2, 2)], unaligned),
    _sample("large", [(190, 150, 3, 3), (500, 700), (256, 64, 4, 4)], dims=[0, 0, 1], large=True),
]


def _call(id: str, op: str, n: int = 1) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        weights, grads, directions = (
            [
                t.to(device, dtype).requires_grad_()
                for t in _values([(4, 3, 3, 3), (3, 6, 2, 2)], seed)
            ]
            for seed in (1, 2, 3)
        )
        dims = [0, 1]
        us, vs = vectors_for([w.detach() for w in weights], dims)
        if op == "spectral_norm":
            return weights, us, vs, dims, n, 1e-12
        sums = accumulate_dtype(dtype)
        sigmas = torch.tensor([2.0, 3.0], dtype=sums, device=device, requires_grad=True)
        vectors = torch.cat([us[0], vs[0], us[1], vs[1]]).to(sums)
        if op == "spectral_norm_backward":
            return grads, torch.ones_like(sigmas) if n else None, weights, sigmas, vectors, dims
        return directions, grads, weights, sigmas, vectors, dims, bool(n)

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "spectral_norm"),
    _call("forward-eval", "spectral_norm", 0),
    _call("backward", "spectral_norm_backward"),
    _call("backward-of-weights-alone", "spectral_norm_backward", 0),
    _call("double-backward", "spectral_norm_double_backward"),
    _call("double-backward-without-weights", "spectral_norm_double_backward", 0),
]


def _error(
    id: str, error: type[Exception], says: tuple[str, ...], *lists: Any, **options: Any
) -> ErrorCase:
    given = [[torch.zeros(2, 3)], [torch.zeros(2)], [torch.zeros(3)]]
    given[: len(lists)] = lists
    return ErrorCase(id, lambda: ops.spectral_norm(*given, **options), error, says)


_W, _U, _V = [torch.zeros(2, 3)], [torch.zeros(2)], [torch.zeros(3)]
_ERRORS = [
    _error("no-list", TypeError, ("weights", "list", "torch.float32"), torch.zeros(2, 3)),
    _error("nothing", ValueError, ("weights", "at least one"), [], [], []),
    _error("lengths", ValueError, ("us", "1", "2"), _W, _U * 2),
    _error("no-tensor", TypeError, ("weights[0]", "float"), [1.0]),
    _error(
        "int", TypeError, ("weights[0]", "float32", "int64"), [torch.zeros(2, 3, dtype=torch.int64)]
    ),
    _error("rank", ValueError, ("weights[0]", "2 dimensions", "[3]"), [torch.zeros(3)]),
    _error(
        *("dtypes", TypeError, ("weights[1]", "float32", "float64", "separate calls")),
        [*_W, _W[0].double()],
        _U * 2,
        _V * 2,
    ),
    _error("u-dtype", TypeError, ("us[0]", "float32", "float64"), _W, [_U[0].double()]),
    _error("u-type", TypeError, ("us[0]", "tensor", "NoneType"), _W, [None]),
    _error("u-shape", ValueError, ("us[0]", "[2]", "[3]"), _W, _V),
    _error("v-shape", ValueError, ("vs[0]", "[3]", "[2]"), _W, _U, _U),
    _error(
        "v-device", ValueError, ("vs[0]", "cpu", "meta"), _W, _U, [torch.zeros(3, device="meta")]
    ),
    _error("dims-length", ValueError, ("dims", "1", "2"), dims=[0, 0]),
    _error("dims-range", ValueError, ("dims[0]", "0 to 1", "2"), dims=[2]),
    _error(
        "iterations", ValueError, ("n_power_iterations", "at least 0", "-1"), n_power_iterations=-1
    ),
    _error("iterations-type", ValueError, ("n_power_iterations", "1.5"), n_power_iterations=1.5),
    _error("eps", ValueError, ("eps", "at least 0", "-1"), eps=-1),
    _error("backend", ValueError, ("backend", "cudda"), backend="cudda"),
]


SPECTRAL_NORM = OpSpec(
    name="spectral_norm",
    op=normalised,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[],
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 4e-6,
        torch.float16: 4e-3,
        torch.bfloat16: 3e-2,
    },
    batched=(),
)
