"""The :class:`OpSpec` of minibatch_stddev."""

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
from tests.specs.layouts import channels_last, every_other, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, Penalty, RegisteredCall, Saved

_SAMPLES = [
    sample_of_one("small", (4, 3, 2, 2)),
    sample_of_one("small-groups", (6, 4, 1, 2), group_size=3, num_channels=2),
    sample_of_one("small-batch", (3, 2, 2, 1), group_size=20),
    sample_of_one("several-groups", (12, 5, 4, 4)),
    sample_of_one("vectors", (8, 16, 4, 4), num_channels=4),
    sample_of_one("channels_last", (8, 6, 4, 4), channels_last, num_channels=3),
    sample_of_one("channels_last-group", (4, 37, 3, 5), channels_last),
    sample_of_one("one-pixel", (8, 24, 1, 1)),
    sample_of_one("one-channel-each", (4, 3, 5, 7), channels_last, num_channels=3),
    sample_of_one("large-group", (40, 3, 4, 4), group_size=40),
    sample_of_one("several-segments", (4, 4, 40, 41), num_channels=2),
    sample_of_one("several-segments-channels_last", (4, 34, 16, 17), channels_last),
    sample_of_one("several-segments-of-a-row", (2, 5000, 1, 2), channels_last, group_size=2),
    sample_of_one("transposed", (4, 3, 5, 2), transposed),
    sample_of_one("every-other", (4, 3, 2, 4), every_other),
    sample_of_one("unaligned", (4, 8, 4, 4), unaligned),
    sample_of_one("empty-batch", (0, 3, 4, 4)),
    sample_of_one("empty-images", (4, 3, 0, 4)),
    sample_of_one("past-the-cache", (4, 65, 129, 130), large=True),
]


def _call(id: str, op: str, *needs: bool) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        drawn = (values((6, 4 + (i == 2), 2, 3), i) for i in range(3))
        x, ddx, dy = leaves(*on(dtype, device, *drawn))
        tensors = {"minibatch_stddev": (x,), "minibatch_stddev_backward": (dy, x)}
        return *tensors.get(op, (ddx, dy, x)), 3, 1, *needs

    return RegisteredCall(id, op, args)


_x = zeros(4, 6, 2, 2)
_refused = refusals(ops.minibatch_stddev, x=_x())
_ERRORS = [
    _refused("x-none", TypeError, "x", "NoneType", x=None),
    _refused("x-int", TypeError, "x", "int64", "float32", x=_x(dtype=torch.int64)),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[4, 6]", x=_x(4, 6)),
    _refused("batch", ValueError, "batch", "up to 4", "multiple of 4", "got 6", x=_x(6, 2, 1, 1)),
    _refused("group-zero", ValueError, "group_size", "at least 1", "got 0", group_size=0),
    _refused("group-float", ValueError, "group_size", "whole", "got 2.0", group_size=2.0),
    _refused("channels-bool", ValueError, "num_channels", "whole", "got True", num_channels=True),
    _refused("channels", ValueError, "num_channels", "divide", "6", "got 4", num_channels=4),
    _refused("no-channels", ValueError, "num_channels", "0", "got 1", x=_x(4, 0, 2, 2)),
    _refused("backend", ops.BackendUnavailable, "cpu", "meta", x=_x(device="meta"), backend="cpu"),
    launch_refused("minibatch_stddev", "minibatch_stddev", (1, 1, 65536, 32768), 4, 1),
]

# Forward reads x and writes y. Backward reads dy and x and writes dx. The second derivative reads
# ddx and x and writes ddy and dx. The appended channel adds at most a few percent.
_MOVED = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 4.0}

MINIBATCH_STDDEV = OpSpec(
    name="minibatch_stddev",
    op=ops.minibatch_stddev,
    samples=_SAMPLES,
    registered=[
        _call("forward", "minibatch_stddev"),
        _call("backward", "minibatch_stddev_backward"),
        _call("double-backward", "minibatch_stddev_double_backward", True, True),
    ],
    errors=_ERRORS,
    # The last features of StyleGAN2's and ProGAN's discriminators, and some that don't fit a cache.
    benchmarks=[
        BenchmarkCase(id, tensors_of(lambda shape=shape: normal(shape), layout), {}, _MOVED)
        for id, shape, layout in (
            ("4", (32, 512, 4, 4), None),
            ("4-channels_last", (32, 512, 4, 4), channels_last),
            ("64", (32, 128, 64, 64), None),
            ("64-channels_last", (32, 128, 64, 64), channels_last),
        )
    ],
    tolerance=ROUNDED_ONCE,
    threaded=[
        sample_of_one("contiguous", (8, 16, 50, 40)),
        sample_of_one("channels_last", (8, 16, 50, 40), channels_last),
    ],
    saved=[Saved(_SAMPLES[0], kept=[0])],
    penalties=[Penalty(_SAMPLES[0], frozenset({"ddy", "dx"}))],
)
