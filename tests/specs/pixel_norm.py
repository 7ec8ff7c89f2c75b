"""The :class:`OpSpec` of pixel_norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.one_tensor import Layout, random_values, sample, tensors_of
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall

_SAMPLES = [
    sample("small", (3, 4, 2, 3)),
    sample("small-rows", (3, 5), eps=0.1),
    sample("small-last", (2, 3, 4), dim=-1),
    sample("vectors", (2, 8, 8, 8)),
    sample("many-channels", (2, 70, 3, 5)),
    sample("several-strips", (2, 5, 9, 131)),
    sample("channels_last", (2, 7, 4, 6), channels_last),
    sample("channels_last-vectors", (2, 16, 4, 6), channels_last),
    sample("channels_last-rows", (2, 4, 3, 6), channels_last, dim=2),
    sample("long-rows", (3, 2100)),
    sample("short-rows", (300, 3)),
    sample("first", (5, 2, 7), dim=0),
    sample("vector", (9,), dim=0),
    # With the default eps it would be the sign, whose derivatives are zero.
    sample("one-feature", (3, 1, 5), eps=0.5),
    sample("transposed", (4, 3, 5), transposed),
    sample("every-other", (2, 3, 4), every_other),
    sample("expanded", (3, 4, 2), expanded),
    sample("unaligned", (2, 8, 8, 8), unaligned),
    sample("volumes", (2, 3, 2, 3, 4)),
    sample("empty-batch", (0, 3, 4)),
    sample("no-features", (2, 0, 4)),
    sample("past-the-cache", (2, 33, 257, 260), large=True),
]


# -------------------------------------------------------------------------- registered calls


def _call(id: str, op: str, *needs: bool) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x, dy, ddx = (
            random_values((3, 4, 5), i).to(device, dtype).requires_grad_() for i in range(3)
        )
        tensors = {"pixel_norm": (x,), "pixel_norm_backward": (dy, x)}.get(op, (ddx, dy, x))
        return *tensors, 1, 1e-8, *needs

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "pixel_norm"),
    _call("backward", "pixel_norm_backward"),
    _call("double-backward", "pixel_norm_double_backward", True, True),
]


# ------------------------------------------------------------------------------------ errors


def _error(
    id: str, error: type[Exception], says: tuple[str, ...], x: Any, **options: Any
) -> ErrorCase:
    return ErrorCase(id, lambda: ops.pixel_norm(x, **options), error, says)


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 3), **options)


_ERRORS = [
    _error("x-none", TypeError, ("x", "NoneType"), None),
    _error("x-int", TypeError, ("x", "int64", "float32"), _x(dtype=torch.int64)),
    _error("x-scalar", ValueError, ("x", "scalar", "reshape"), torch.tensor(1.0)),
    _error("dim", ValueError, ("dim", "from -2 to 1", "got 2"), _x(), dim=2),
    _error("eps-tensor", TypeError, ("eps", "number", "torch.float32"), _x(), eps=torch.ones(())),
    _error("eps-zero", ValueError, ("eps", "above 0", "got 0"), _x(), eps=0),
    _error("eps-infinite", ValueError, ("eps", "finite", "inf"), _x(), eps=float("inf")),
    _error("backend", ops.BackendUnavailable, ("cpu", "meta"), _x(device="meta"), backend="cpu"),
]


# -------------------------------------------------------------------------------- benchmarks

# Forward reads x and writes y. Backward reads dy and x and writes dx. The second derivative reads
# ddx, dy and x and writes ddy and dx.
_MOVED = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 5.0}


def _benchmark(id: str, shape: Sequence[int], layout: Layout | None = None) -> BenchmarkCase:
    return BenchmarkCase(id, tensors_of(shape, layout), {}, _MOVED)


PIXEL_NORM = OpSpec(
    name="pixel_norm",
    op=ops.pixel_norm,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    # Layers of progressively grown generators, and latents.
    benchmarks=[
        _benchmark("32", (16, 512, 32, 32)),
        _benchmark("128", (16, 128, 128, 128)),
        _benchmark("32-channels_last", (16, 512, 32, 32), channels_last),
        _benchmark("128-channels_last", (16, 128, 128, 128), channels_last),
        _benchmark("latents", (64, 512)),
    ],
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 4e-6,
        torch.float16: 2e-3,
        torch.bfloat16: 1.6e-2,
    },
)
