"""The :class:`OpSpec` of spectral_norm, and the layers of a discriminator for timing.

The op takes and returns lists. Tests see it as a function of the weights, with one result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan import ops
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.spectral_norm.reference import sizes_of
from tests.specs.build import leaves, on, refusals, sample, tolerance
from tests.specs.layouts import Layout, channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import OpSpec, RegisteredCall, Sample

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
    drawn = (torch.randn(list(s), generator=generator, dtype=torch.float64) for s in shapes)
    return [t.bfloat16().double() for t in drawn]


def _sample(
    id: str,
    shapes: Sequence[Sequence[int]],
    layout: Layout | None = None,
    *,
    small: bool = False,
    large: bool = False,
    **options: Any,
) -> Sample:
    def draw() -> list[Tensor]:
        return _values(shapes, len(id))

    all_of_them = range(len(shapes))
    return sample(id, draw, layout, laid_out=all_of_them, small=small, large=large, **options)


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
        shapes, dims = [(4, 3, 3, 3), (3, 6, 2, 2)], [0, 1]
        weights, grads, directions = (
            list(leaves(*on(dtype, device, *_values(shapes, seed)))) for seed in (1, 2, 3)
        )
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


_W, _U, _V = [torch.zeros(2, 3)], [torch.zeros(2)], [torch.zeros(3)]
_refused = refusals(ops.spectral_norm, weights=_W, us=_U, vs=_V)
_ERRORS = [
    _refused("no-list", TypeError, "weights", "list", "torch.float32", weights=_W[0]),
    _refused("nothing", ValueError, "weights", "at least one", weights=[], us=[], vs=[]),
    _refused("lengths", ValueError, "us", "1", "2", us=_U * 2),
    _refused("no-tensor", TypeError, "weights[0]", "float", weights=[1.0]),
    _refused("int", TypeError, "weights[0]", "float32", "int64", weights=[_W[0].long()]),
    _refused("rank", ValueError, "weights[0]", "2 dimensions", "[3]", weights=_V),
    _refused(
        *("dtypes", TypeError, "weights[1]", "float32", "float64", "separate calls"),
        **{"weights": [*_W, _W[0].double()], "us": _U * 2, "vs": _V * 2},
    ),
    _refused("u-dtype", TypeError, "us[0]", "float32", "float64", us=[_U[0].double()]),
    _refused("u-type", TypeError, "us[0]", "tensor", "NoneType", us=[None]),
    _refused("u-shape", ValueError, "us[0]", "[2]", "[3]", us=_V),
    _refused("v-shape", ValueError, "vs[0]", "[3]", "[2]", vs=_U),
    _refused("v-device", ValueError, "vs[0]", "cpu", "meta", vs=[_V[0].to("meta")]),
    _refused("dims-length", ValueError, "dims", "1", "2", dims=[0, 0]),
    _refused("dims-range", ValueError, "dims[0]", "0 to 1", "2", dims=[2]),
    _refused(
        "iterations", ValueError, "n_power_iterations", "at least 0", "-1", n_power_iterations=-1
    ),
    _refused("iterations-type", ValueError, "n_power_iterations", "1.5", n_power_iterations=1.5),
    _refused("eps", ValueError, "eps", "at least 0", "-1", eps=-1),
    _refused("backend", ValueError, "backend", "cudda", backend="cudda"),
]


SPECTRAL_NORM = OpSpec(
    name="spectral_norm",
    op=normalised,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[],
    tolerance=tolerance(1e-12, 4e-6, 4e-3, 3e-2),
    batched=(),
    threaded=[_sample("network", [(300, 500), (64, 40, 4, 4), (1, 70000)], dims=[0, 1, 0])],
)
