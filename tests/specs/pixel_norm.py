"""The :class:`OpSpec` of pixel_norm."""

from __future__ import annotations

from typing import Any

import torch

from fastgan import ops
from tests.specs.build import (
    ROUNDED_ONCE,
    launch_refused,
    leaves,
    normal,
    on,
    refusals,
    sample_of_one,
    tensors_of,
    values,
    zeros,
)
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, Penalty, RegisteredCall, Saved

_SAMPLES = [
    sample_of_one("small", (3, 4, 2, 3)),
    sample_of_one("small-rows", (3, 5), eps=0.1),
    sample_of_one("small-last", (2, 3, 4), dim=-1),
    sample_of_one("vectors", (2, 8, 8, 8)),
    sample_of_one("many-channels", (2, 70, 3, 5)),
    sample_of_one("several-strips", (2, 5, 9, 131)),
    sample_of_one("channels_last", (2, 7, 4, 6), channels_last),
    sample_of_one("channels_last-vectors", (2, 16, 4, 6), channels_last),
    sample_of_one("channels_last-rows", (2, 4, 3, 6), channels_last, dim=2),
    sample_of_one("long-rows", (3, 2100)),
    sample_of_one("short-rows", (300, 3)),
    sample_of_one("first", (5, 2, 7), dim=0),
    sample_of_one("vector", (9,), dim=0),
    # With the default eps it would be the sign, whose derivatives are zero.
    sample_of_one("one-feature", (3, 1, 5), eps=0.5),
    sample_of_one("transposed", (4, 3, 5), transposed),
    sample_of_one("every-other", (2, 3, 4), every_other),
    sample_of_one("expanded", (3, 4, 2), expanded),
    sample_of_one("unaligned", (2, 8, 8, 8), unaligned),
    sample_of_one("volumes", (2, 3, 2, 3, 4)),
    sample_of_one("empty-batch", (0, 3, 4)),
    sample_of_one("no-features", (2, 0, 4)),
    sample_of_one("past-the-cache", (2, 33, 257, 260), large=True),
]


def _call(id: str, op: str, *needs: bool) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x, dy, ddx = leaves(*on(dtype, device, *(values((3, 4, 5), i) for i in range(3))))
        tensors = {"pixel_norm": (x,), "pixel_norm_backward": (dy, x)}.get(op, (ddx, dy, x))
        return *tensors, 1, 1e-8, *needs

    return RegisteredCall(id, op, args)


_x = zeros(2, 3)
_refused = refusals(ops.pixel_norm, x=_x())
_ERRORS = [
    _refused("x-none", TypeError, "x", "NoneType", x=None),
    _refused("x-int", TypeError, "x", "int64", "float32", x=_x(dtype=torch.int64)),
    _refused("x-scalar", ValueError, "x", "scalar", "reshape", x=torch.tensor(1.0)),
    _refused("dim", ValueError, "dim", "from -2 to 1", "got 2", dim=2),
    _refused("eps-tensor", TypeError, "eps", "number", "torch.float32", eps=torch.ones(())),
    _refused("eps-zero", ValueError, "eps", "above 0", "got 0", eps=0),
    _refused("eps-infinite", ValueError, "eps", "finite", "inf", eps=float("inf")),
    _refused("backend", ops.BackendUnavailable, "cpu", "meta", x=_x(device="meta"), backend="cpu"),
    launch_refused("pixel_norm", "pixel_norm", (1, 2**31), 1, 1e-8),
]

# Forward reads x and writes y. Backward reads dy and x and writes dx. The second derivative reads
# ddx, dy and x and writes ddy and dx.
_MOVED = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 5.0}

PIXEL_NORM = OpSpec(
    name="pixel_norm",
    op=ops.pixel_norm,
    samples=_SAMPLES,
    registered=[
        _call("forward", "pixel_norm"),
        _call("backward", "pixel_norm_backward"),
        _call("double-backward", "pixel_norm_double_backward", True, True),
    ],
    errors=_ERRORS,
    # Layers of progressively grown generators, and latents.
    benchmarks=[
        BenchmarkCase(id, tensors_of(lambda shape=shape: normal(shape), layout), {}, _MOVED)
        for id, shape, layout in (
            ("32", (16, 512, 32, 32), None),
            ("128", (16, 128, 128, 128), None),
            ("32-channels_last", (16, 512, 32, 32), channels_last),
            ("128-channels_last", (16, 128, 128, 128), channels_last),
            ("latents", (64, 512), None),
        )
    ],
    tolerance=ROUNDED_ONCE,
    threaded=[sample_of_one("strips", (3, 40, 2000)), sample_of_one("rows", (500, 130))],
    saved=[Saved(_SAMPLES[0], kept=[0])],
    penalties=[Penalty(_SAMPLES[0], frozenset({"ddy", "dx"}))],
)
