"""The :class:`OpSpec` of minibatch_stddev."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.layouts import channels_last, every_other, transposed, unaligned
from tests.specs.one_tensor import Layout, random_values, sample, tensors_of
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall

_SAMPLES = [
    sample("small", (4, 3, 2, 2)),
    sample("small-groups", (6, 4, 1, 2), group_size=3, num_channels=2),
    sample("small-batch", (3, 2, 2, 1), group_size=20),
    sample("several-groups", (12, 5, 4, 4)),
    sample("vectors", (8, 16, 4, 4), num_channels=4),
    sample("channels_last", (8, 6, 4, 4), channels_last, num_channels=3),
    sample("channels_last-group", (4, 37, 3, 5), channels_last),
    sample("one-pixel", (8, 24, 1, 1)),
    sample("one-channel-each", (4, 3, 5, 7), channels_last, num_channels=3),
    sample("large-group", (40, 3, 4, 4), group_size=40),
    sample("several-segments", (4, 4, 40, 41), num_channels=2),
    sample("several-segments-channels_last", (4, 34, 16, 17), channels_last),
    sample("several-segments-of-a-row", (2, 5000, 1, 2), channels_last, group_size=2),
    sample("transposed", (4, 3, 5, 2), transposed),
    sample("every-other", (4, 3, 2, 4), every_other),
    sample("unaligned", (4, 8, 4, 4), unaligned),
    sample("empty-batch", (0, 3, 4, 4)),
    sample("empty-images", (4, 3, 0, 4)),
    sample("past-the-cache", (4, 65, 129, 130), large=True),
]


# -------------------------------------------------------------------------- registered calls


def _call(id: str, op: str, *needs: bool) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x, ddx = (
            random_values((6, 4, 2, 3), i).to(device, dtype).requires_grad_() for i in range(2)
        )
        dy = random_values((6, 5, 2, 3), 2).to(device, dtype).requires_grad_()
        tensors = {"minibatch_stddev": (x,), "minibatch_stddev_backward": (dy, x)}.get(
            op, (ddx, dy, x)
        )
        return *tensors, 3, 1, *needs

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "minibatch_stddev"),
    _call("backward", "minibatch_stddev_backward"),
    _call("double-backward", "minibatch_stddev_double_backward", True, True),
]


# ------------------------------------------------------------------------------------ errors


def _error(
    id: str, error: type[Exception], says: tuple[str, ...], x: Any, **options: Any
) -> ErrorCase:
    return ErrorCase(id, lambda: ops.minibatch_stddev(x, **options), error, says)


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (4, 6, 2, 2), **options)


_ERRORS = [
    _error("x-none", TypeError, ("x", "NoneType"), None),
    _error("x-int", TypeError, ("x", "int64", "float32"), _x(dtype=torch.int64)),
    _error("x-rank", ValueError, ("x", "[N, C, H, W]", "[4, 6]"), _x(4, 6)),
    _error("batch", ValueError, ("batch", "up to 4", "multiple of 4", "got 6"), _x(6, 2, 1, 1)),
    _error("group-zero", ValueError, ("group_size", "at least 1", "got 0"), _x(), group_size=0),
    _error("group-float", ValueError, ("group_size", "whole", "got 2.0"), _x(), group_size=2.0),
    _error(
        "channels-bool", ValueError, ("num_channels", "whole", "got True"), _x(), num_channels=True
    ),
    _error("channels", ValueError, ("num_channels", "divide", "6", "got 4"), _x(), num_channels=4),
    _error("no-channels", ValueError, ("num_channels", "0", "got 1"), _x(4, 0, 2, 2)),
    _error("backend", ops.BackendUnavailable, ("cpu", "meta"), _x(device="meta"), backend="cpu"),
]


# -------------------------------------------------------------------------------- benchmarks

# Forward reads x and writes y. Backward reads dy and x and writes dx. The second derivative reads
# ddx and x and writes ddy and dx. The appended channel adds at most a few percent.
_MOVED = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 4.0}


def _benchmark(id: str, shape: Sequence[int], layout: Layout | None = None) -> BenchmarkCase:
    return BenchmarkCase(id, tensors_of(shape, layout), {}, _MOVED)


MINIBATCH_STDDEV = OpSpec(
    name="minibatch_stddev",
    op=ops.minibatch_stddev,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    # The last features of StyleGAN2's and ProGAN's discriminators, and some that don't fit a cache.
    benchmarks=[
        _benchmark("4", (32, 512, 4, 4)),
        _benchmark("4-channels_last", (32, 512, 4, 4), channels_last),
        _benchmark("64", (32, 128, 64, 64)),
        _benchmark("64-channels_last", (32, 128, 64, 64), channels_last),
    ],
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 4e-6,
        torch.float16: 2e-3,
        torch.bfloat16: 1.6e-2,
    },
)
