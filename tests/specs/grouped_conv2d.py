"""The :class:`OpSpec` of grouped convolutions."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.build import CONVOLUTION, normal, refusals, tensors_of, values, weight_values
from tests.specs.conv2d import convolution_sample
from tests.specs.layouts import Layout, channels_last, every_other, transposed
from tests.specs.spec import BenchmarkCase, OpSpec, RegisteredCall

_SAMPLES = [
    convolution_sample(
        "small", (3, 4, 5, 4), (6, 2, 3, 3), padding=1, groups=2, act="swish", small=True
    ),
    convolution_sample(
        "small-strides",
        (3, 6, 7, 6),
        (3, 2, 2, 3),
        channels_last,
        stride=(2, 1),
        padding=(1, 2),
        dilation=(2, 1),
        groups=3,
        bias=False,
        small=True,
    ),
    convolution_sample(
        "channels_last",
        (2, 32, 9, 8),
        (48, 16, 3, 3),
        channels_last,
        padding=1,
        groups=2,
        act="tanh",
    ),
    convolution_sample(
        "depthwise", (3, 8, 5, 4), (8, 1, 4, 4), channels_last, groups=8, bias=False
    ),
    convolution_sample(
        "depthwise-of-two", (2, 6, 6, 7), (12, 1, 3, 3), transposed, padding=1, stride=2, groups=6
    ),
    convolution_sample("empty-batch", (0, 4, 5, 5), (4, 2, 3, 3), padding=1, groups=2, act="lrelu"),
]


def _call(id: str, op: str, layout: Layout | None = None) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        def leaf(*shape: int, seed: int) -> Tensor:
            t = values(shape, seed).to(device, dtype)
            return (t if layout is None else layout(t)).requires_grad_()

        x, w, dy = leaf(2, 4, 7, 6, seed=1), leaf(6, 2, 3, 2, seed=2), leaf(2, 6, 4, 5, seed=3)
        geometry = [2, 1], [1, 0], [1, 1], 2
        match op:
            case "grouped_conv2d":
                return x, w, *geometry
            case "grouped_conv2d_input":
                return dy, w, [7, 6], layout is not None, *geometry
            case _:
                return dy, x, [3, 2], *geometry

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("convolution", "grouped_conv2d"),
    _call("of-the-image", "grouped_conv2d_input", channels_last),
    _call("of-the-weights", "grouped_conv2d_weight", channels_last),
]


def random_call(seed: int) -> tuple[list[Tensor], dict[str, Any]]:
    """Draw image and weights in float64 with random strides, and a convolution's settings."""
    r = random.Random(seed)
    groups, c, k = r.randint(2, 6), r.randint(1, 5), r.randint(1, 5)
    kernel, stride, dilation, padding = (
        [r.randint(low, 3) for _ in range(2)] for low in (1, 1, 1, 0)
    )
    size = [
        max(1, d * (n - 1) + 1 - 2 * p) + r.randint(0, 5)
        for n, d, p in zip(kernel, dilation, padding)
    ]
    layouts = [channels_last, transposed, every_other, lambda t: t]
    x = r.choice(layouts)(values((r.randint(1, 3), groups * c, *size), seed))
    w = r.choice(layouts)(weight_values((groups * k, c, *kernel), seed + 1))
    return [x, w], {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


_refused = refusals(ops.conv2d, x=torch.zeros(2, 4, 5, 5), weight=torch.zeros(6, 2, 3, 3))
_ERRORS = [
    _refused("channels", ValueError, "[6, 2, 3, 3]", "[2, 4, 5, 5]", "3 groups", groups=3),
    _refused(
        "transposed", ValueError, "[6, 2, 3, 3]", "2 groups", by=ops.conv_transpose2d, groups=2
    ),
    _refused("number", ValueError, "groups", "at least 1", "True", groups=True),
]


def benchmark_case(
    id: str, batch: int, channels: int, groups: int, side: int, *, kernel: int = 3, padding: int = 1
) -> BenchmarkCase:
    """Return a case with as many output channels, without bias, in channels_last.

    Its ``products`` are those of a convolution without groups.
    """

    def draw() -> list[Tensor | None]:
        shape = (channels, channels // groups, kernel, kernel)
        x, weight = normal((batch, channels, side, side), shape)
        return [x, None if weight is None else weight / weight[0].numel() ** 0.5]

    pixels = (side + 2 * padding - kernel + 1) ** 2
    once = 2.0 * batch * channels * (channels // groups) * kernel**2 * pixels
    return BenchmarkCase(
        id,
        tensors_of(draw, channels_last),
        {"padding": padding, "groups": groups},
        # Second derivative: two convolutions for the incoming gradient, one each for image and
        # weights.
        products={"forward": once, "forward_backward": 3 * once, "double_backward": 4 * once},
    )


GROUPED_CONV2D = OpSpec(
    name="grouped_conv2d",
    op=ops.conv2d,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        benchmark_case("r3gan-8x8", 8, 1536, 96, 8),
        benchmark_case("r3gan-32x32", 4, 1536, 96, 32),
        benchmark_case("r3gan-128x128", 2, 384, 24, 128),
        benchmark_case("depthwise-4x4", 32, 768, 768, 4, kernel=4, padding=0),
    ],
    tolerance=CONVOLUTION,
    autocast="region",
)
