"""The :class:`OpSpec` of conv2d, and a switch to Winograd's algorithm for all sizes."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops.conv2d import choice, reference
from tests.specs.build import (
    CONVOLUTION,
    normal,
    refusals,
    sample,
    tensors_of,
    values,
    weight_values,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, transposed
from tests.specs.spec import BenchmarkCase, OpSpec, RegisteredCall, Sample


@contextlib.contextmanager
def winograd_everywhere() -> Iterator[None]:
    """Run every 3x3 convolution on the CPU by Winograd's algorithm if it can, even if slower."""
    before = dict(choice.FEWEST_TILES)
    choice.FEWEST_TILES.clear()
    choice.FEWEST_TILES[1] = 0
    try:
        yield
    finally:
        choice.FEWEST_TILES.clear()
        choice.FEWEST_TILES.update(before)


def convolution_sample(
    id: str,
    shape: Sequence[int],
    weight: Sequence[int],
    layout: Layout | None = None,
    *,
    bias: bool = True,
    small: bool = False,
    **options: Any,
) -> Sample:
    def draw() -> list[Tensor | None]:
        b = values(weight[:1], 3, 0.5) if bias else None
        return [values(shape, 1), weight_values(weight, 2), b]

    return sample(id, draw, layout, small=small, **options)


_SAMPLES = [
    convolution_sample("small", (3, 3, 6, 5), (4, 3, 3, 3), padding=1, act="swish", small=True),
    convolution_sample(
        "small-clamp",
        (3, 3, 4, 4),
        (4, 3, 3, 3),
        padding=(0, 1),
        act="lrelu",
        clamp=0.9,
        small=True,
    ),
    convolution_sample(
        "small-stride-groups",
        (3, 3, 7, 6),
        (6, 1, 3, 3),
        stride=2,
        padding=1,
        groups=3,
        bias=False,
        small=True,
    ),
    convolution_sample("pointwise", (2, 8, 5, 4), (5, 8, 1, 1), channels_last, act="lrelu"),
    convolution_sample(
        "dilated-even", (2, 4, 8, 9), (3, 4, 2, 4), padding=(2, 1), dilation=(1, 2), stride=(1, 2)
    ),
    convolution_sample("transposed", (3, 2, 6, 5), (4, 2, 3, 3), transposed, padding=1),
    convolution_sample("empty-batch", (0, 4, 5, 5), (4, 4, 3, 3), padding=1, act="lrelu"),
    # Enough channels and tiles for Winograd's algorithm on the CPU in float32.
    convolution_sample("winograd", (2, 64, 25, 22), (72, 64, 3, 3), padding=1, act="swish"),
    convolution_sample(
        "winograd-channels_last",
        (3, 64, 20, 21),
        (64, 64, 3, 3),
        channels_last,
        padding=(2, 1),
        act="tanh",
    ),
    convolution_sample(
        "winograd-no-padding", (5, 65, 18, 18), (64, 65, 3, 3), every_other, bias=False
    ),
]


def _call(id: str, op: str, *, layout: Layout | None = None, style: bool = True) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        def leaf(*shape: int, seed: int) -> Tensor:
            t = values(shape, seed).to(device, dtype)
            return (t if layout is None or t.ndim < 4 else layout(t)).requires_grad_()

        x, w = leaf(2, 5, 6, 7, seed=1), leaf(4, 5, 3, 3, seed=2)
        s = leaf(2, 5, seed=3) if style else None
        dy = leaf(2, 4, 6, 7, seed=4)
        match op:
            case "winograd_conv2d":
                return x, w, s, 1, 1, False
            case "winograd_conv2d_act":
                noise, scale, b = leaf(1, 1, 6, 7, seed=5), leaf(2, 4, seed=6), leaf(4, seed=7)
                return x, w, s, scale, noise, b, 1, 1, "lrelu", 0.2, 1.5, 2.0
            case "winograd_conv2d_input":
                return dy, w, x, leaf(2, 5, seed=3), 1, 1
            case "winograd_conv2d_unscaled":
                by = leaf(2, 5, seed=3).detach()
                given = (t.detach() for t in (dy, w, x))
                dx, _ = reference.winograd_conv2d_input(*given, by, 1, 1)
                return dx, by, dy, w, 1, 1
            case "winograd_conv2d_weight":
                return dy, x, s, 1, 1
            case "winograd_conv2d_down":
                return leaf(2, 5, 7, 9, seed=5), w, s
            case "winograd_conv2d_down_weight":
                return leaf(2, 4, 3, 4, seed=4), leaf(2, 5, 7, 9, seed=5), s
            case "product_per_sample":
                return leaf(2, 6, 5, seed=1), leaf(2, 3, 5, seed=2)
            case "product_per_sample_weight":
                return leaf(2, 6, 3, seed=1), leaf(2, 6, 5, seed=2)
            case _:
                return x, leaf(5, 4, 3, 3, seed=8), s

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("convolution", "winograd_conv2d"),
    _call("convolution-channels_last", "winograd_conv2d", layout=channels_last, style=False),
    _call("with-epilogue", "winograd_conv2d_act"),
    _call("of-the-image", "winograd_conv2d_input", layout=channels_last),
    _call("of-the-image-again", "winograd_conv2d_unscaled", layout=channels_last),
    _call("of-the-weights", "winograd_conv2d_weight"),
    _call("pixels", "product_per_sample"),
    _call("of-the-weights-of-pixels", "product_per_sample_weight"),
    _call("upsampling", "winograd_conv_transpose2d"),
    _call("downsampling", "winograd_conv2d_down"),
    _call("of-the-weights-downsampling", "winograd_conv2d_down_weight", layout=channels_last),
]


def random_call(seed: int) -> tuple[str, list[Tensor | None], list[Any]]:
    """Draw a registered Winograd op with random arguments.

    Returns:
        Its name, its tensors in float64, and its other arguments.
    """
    r = random.Random(seed)
    n, c, k = r.randint(1, 3), r.choice([1, 2, 5, 16, 17, 33]), r.choice([1, 3, 15, 16, 32, 40])
    h, w = r.randint(1, 14), r.randint(1, 14)
    pad = [r.randint(max(0, (4 - size) // 2), 2) for size in (h, w)]
    x, style = values((n, c, h, w), seed), values((n, c), seed + 1) if r.random() < 0.7 else None
    weight = weight_values((k, c, 3, 3), seed + 2)
    layouts = [channels_last, transposed, lambda t: t]
    if r.random() < 0.25:
        return (
            "winograd_conv_transpose2d",
            [r.choice(layouts)(x), weight.transpose(0, 1), style],
            [],
        )
    if r.random() < 0.25:
        size = (2 * (h // 2) + 3, 2 * (w // 2) + 3)
        x = values((n, c, *size), seed)
        return "winograd_conv2d_down", [r.choice(layouts)(x), r.choice(layouts)(weight), style], []
    if r.random() < 0.2:
        dy = r.choice(layouts)(values((n, k, h + 2 * pad[0] - 2, w + 2 * pad[1] - 2), seed + 3))
        return "winograd_conv2d", [dy, r.choice(layouts)(weight), None], [*pad, True]
    return (
        "winograd_conv2d",
        [r.choice(layouts)(x), r.choice(layouts)(weight), style],
        [*pad, False],
    )


_x = zeros(2, 4, 5, 5)
_W = torch.zeros(6, 4, 3, 3)
_refused = refusals(ops.conv2d, x=_x(), weight=_W)
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-int", TypeError, "x", "int32", x=_x(dtype=torch.int32)),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[4, 5, 5]", x=_x(4, 5, 5)),
    _refused("weight-type", TypeError, "weight", "float", weight=1.0),
    _refused("weight-dtype", TypeError, "weight", "float32", "float16", weight=_W.half()),
    _refused("weight-device", ValueError, "weight", "cpu", "meta", weight=_W.to("meta")),
    _refused("weight-rank", ValueError, "weight", "[6, 4]", weight=_x(6, 4)),
    _refused("weight-channels", ValueError, "[6, 3, 3, 3]", "[2, 4, 5, 5]", weight=_x(6, 3, 3, 3)),
    _refused(
        "weight-groups", ValueError, "groups", "[5, 2, 3, 3]", weight=_x(5, 2, 3, 3), groups=2
    ),
    _refused("groups", ValueError, "groups", "at least 1", "0", groups=0),
    _refused("bias-shape", ValueError, "bias", "[6]", "[5]", bias=_x(5)),
    _refused("bias-type", TypeError, "bias", "float", bias=1.0),
    _refused("bias-dtype", TypeError, "float32", "float16", bias=_x(6).half()),
    _refused("stride", ValueError, "stride", "at least 1", "0", stride=0),
    _refused("padding", ValueError, "padding", "(1, -1)", padding=(1, -1)),
    _refused("dilation", ValueError, "dilation", "(1, 2, 3)", dilation=(1, 2, 3)),
    _refused("too-small", ValueError, "fit", "3 pixels high", "2", x=_x(2, 4, 2, 9)),
    _refused("padding-float", ValueError, "padding", "whole", "1.0", padding=1.0),
    _refused("gain", TypeError, "gain", "NoneType", gain=None),
    _refused("act", ValueError, "act", "'gelu'", act="gelu"),
    _refused(
        *("gain-learned", TypeError, "gain", "no gradient", "multiply"),
        gain=torch.ones((), requires_grad=True),
    ),
    _refused("clamp-type", TypeError, "clamp", "number", "str", clamp="a"),
    _refused("backend", ValueError, "backend", "'tpu'", backend="tpu"),
    _refused(
        "transposed-weight",
        ValueError,
        "[C, O/groups, kh, kw]",
        "[6, 4, 3, 3]",
        by=ops.conv_transpose2d,
    ),
    refusals(ops.set_winograd)(
        "set_winograd", TypeError, "enabled", "True or False", "1", enabled=1
    ),
]


def convolution_benchmark(id: str, batch: int, channels: int, side: int) -> BenchmarkCase:
    """Return a 3×3 convolution to as many channels, padded by 1, without bias, in channels_last."""

    def draw() -> list[Tensor | None]:
        x, weight = normal((batch, channels, side, side), (channels, channels, 3, 3))
        return [x, None if weight is None else weight / (3 * channels**0.5)]

    once = 2.0 * 9 * batch * channels**2 * side**2
    # The second derivative has two convolutions in the incoming gradient, and one each in image
    # and weights.
    products = {"forward": once, "forward_backward": 3 * once, "double_backward": 4 * once}
    draw_both = tensors_of(draw, channels_last, (0, 1))
    return BenchmarkCase(id, draw_both, {"padding": 1}, products=products)


CONV2D = OpSpec(
    name="conv2d",
    op=ops.conv2d,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        convolution_benchmark("3x3-256", 8, 256, 32),
        convolution_benchmark("3x3-128", 8, 128, 64),
        convolution_benchmark("3x3-512", 4, 512, 16),
    ],
    tolerance=CONVOLUTION,
    scaling=[
        *(convolution_benchmark("channels", 8, c, 32) for c in (16, 32, 64, 128, 256, 512)),
        *(
            convolution_benchmark("pixels", 8 if side < 128 else 2, 128, side)
            for side in (4, 8, 16, 32, 64, 128)
        ),
        *(convolution_benchmark("batch", batch, 256, 16) for batch in (1, 2, 4, 8, 16)),
    ],
    threaded=[convolution_sample("winograd", (2, 64, 24, 24), (64, 64, 3, 3), padding=1)],
    autocast="region",
)
