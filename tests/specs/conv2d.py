"""The :class:`OpSpec` of conv2d, and a switch to Winograd's algorithm for all sizes."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops.conv2d import choice, reference
from tests.specs.layouts import channels_last, every_other, transposed
from tests.specs.spec import ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]


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


def values(shape: Sequence[int], seed: int, scale: float = 1.0) -> Tensor:
    """Draw normal values that bfloat16 holds exactly; ``scale`` is a power of two."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(list(shape), generator=generator, dtype=torch.float64).bfloat16().double()
        * scale
    )


def weight_values(shape: Sequence[int], seed: int) -> Tensor:
    """Draw weights with which a convolution about keeps the variance."""
    fan_in = shape[1] * shape[2] * shape[3]
    return values(shape, seed, 2.0 ** -round(torch.tensor(float(fan_in)).log2().item() / 2))


def _sample(
    id: str,
    shape: Sequence[int],
    weight: Sequence[int],
    layout: Layout | None = None,
    *,
    bias: bool = True,
    small: bool = False,
    **options: Any,
) -> Sample:
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        x, w = values(shape, 1).to(device, dtype), weight_values(weight, 2).to(device, dtype)
        b = values(weight[:1], 3, 0.5).to(device, dtype) if bias else None
        return (x if layout is None else layout(x)), w, b

    return Sample(id, tensors, options, small=small)


_SAMPLES = [
    _sample("small", (3, 3, 6, 5), (4, 3, 3, 3), padding=1, act="swish", small=True),
    _sample(
        "small-clamp",
        (3, 3, 4, 4),
        (4, 3, 3, 3),
        padding=(0, 1),
        act="lrelu",
        clamp=0.9,
        small=True,
    ),
    _sample(
        "small-stride-groups",
        (3, 3, 7, 6),
        (6, 1, 3, 3),
        stride=2,
        padding=1,
        groups=3,
        bias=False,
        small=True,
    ),
    _sample("pointwise", (2, 8, 5, 4), (5, 8, 1, 1), channels_last, act="lrelu"),
    _sample(
        "dilated-even", (2, 4, 8, 9), (3, 4, 2, 4), padding=(2, 1), dilation=(1, 2), stride=(1, 2)
    ),
    _sample("transposed", (3, 2, 6, 5), (4, 2, 3, 3), transposed, padding=1),
    _sample("empty-batch", (0, 4, 5, 5), (4, 4, 3, 3), padding=1, act="lrelu"),
    # Enough channels and tiles for Winograd's algorithm on the CPU in float32.
    _sample("winograd", (2, 64, 25, 22), (72, 64, 3, 3), padding=1, act="swish"),
    _sample(
        "winograd-channels_last",
        (3, 64, 20, 21),
        (64, 64, 3, 3),
        channels_last,
        padding=(2, 1),
        act="tanh",
    ),
    _sample("winograd-no-padding", (5, 65, 18, 18), (64, 65, 3, 3), every_other, bias=False),
]


def _call(id: str, op: str, *, layout: Layout | None = None, style: bool = True) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        def leaf(*shape: int, seed: int) -> Tensor:
            t = values(shape, seed).to(device, dtype)
            return (t if layout is None or t.ndim < 4 else layout(t)).requires_grad_()

        x, w, s = (
            leaf(2, 5, 6, 7, seed=1),
            leaf(4, 5, 3, 3, seed=2),
            leaf(2, 5, seed=3) if style else None,
        )
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
                dx, _ = reference.winograd_conv2d_input(
                    dy.detach(), w.detach(), x.detach(), by, 1, 1
                )
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


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 4, 5, 5), **options)


_W = torch.zeros(6, 4, 3, 3)

_ERRORS = [
    ErrorCase("x-list", lambda: ops.conv2d([1.0], _W), TypeError, ("x", "list")),
    ErrorCase("x-int", lambda: ops.conv2d(_x(dtype=torch.int32), _W), TypeError, ("x", "int32")),
    ErrorCase(
        "x-rank",
        lambda: ops.conv2d(_x(4, 5, 5), _W),
        ValueError,
        ("x", "[N, C, H, W]", "[4, 5, 5]"),
    ),
    ErrorCase("weight-type", lambda: ops.conv2d(_x(), 1.0), TypeError, ("weight", "float")),
    ErrorCase(
        "weight-dtype",
        lambda: ops.conv2d(_x(), _W.half()),
        TypeError,
        ("weight", "float32", "float16"),
    ),
    ErrorCase(
        "weight-device",
        lambda: ops.conv2d(_x(), _W.to("meta")),
        ValueError,
        ("weight", "cpu", "meta"),
    ),
    ErrorCase("weight-rank", lambda: ops.conv2d(_x(), _x(6, 4)), ValueError, ("weight", "[6, 4]")),
    ErrorCase(
        "weight-channels",
        lambda: ops.conv2d(_x(), _x(6, 3, 3, 3)),
        ValueError,
        ("[6, 3, 3, 3]", "[2, 4, 5, 5]"),
    ),
    ErrorCase(
        "weight-groups",
        lambda: ops.conv2d(_x(), _x(5, 2, 3, 3), groups=2),
        ValueError,
        ("groups", "[5, 2, 3, 3]"),
    ),
    ErrorCase(
        "groups", lambda: ops.conv2d(_x(), _W, groups=0), ValueError, ("groups", "at least 1", "0")
    ),
    ErrorCase(
        "bias-shape", lambda: ops.conv2d(_x(), _W, _x(5)), ValueError, ("bias", "[6]", "[5]")
    ),
    ErrorCase("bias-type", lambda: ops.conv2d(_x(), _W, 1.0), TypeError, ("bias", "float")),
    ErrorCase(
        "bias-dtype", lambda: ops.conv2d(_x(), _W, _x(6).half()), TypeError, ("float32", "float16")
    ),
    ErrorCase(
        "stride", lambda: ops.conv2d(_x(), _W, stride=0), ValueError, ("stride", "at least 1", "0")
    ),
    ErrorCase(
        "padding", lambda: ops.conv2d(_x(), _W, padding=(1, -1)), ValueError, ("padding", "(1, -1)")
    ),
    ErrorCase(
        "dilation",
        lambda: ops.conv2d(_x(), _W, dilation=(1, 2, 3)),
        ValueError,
        ("dilation", "(1, 2, 3)"),
    ),
    ErrorCase(
        "too-small",
        lambda: ops.conv2d(_x(2, 4, 2, 9), _W),
        ValueError,
        ("fit", "3 pixels high", "2"),
    ),
    ErrorCase(
        "padding-float",
        lambda: ops.conv2d(_x(), _W, padding=1.0),
        ValueError,
        ("padding", "whole", "1.0"),
    ),
    ErrorCase("gain", lambda: ops.conv2d(_x(), _W, gain=None), TypeError, ("gain", "NoneType")),
    ErrorCase("act", lambda: ops.conv2d(_x(), _W, act="gelu"), ValueError, ("act", "'gelu'")),
    ErrorCase(
        "gain-learned",
        lambda: ops.conv2d(_x(), _W, gain=torch.ones((), requires_grad=True)),
        TypeError,
        ("gain", "no gradient", "multiply"),
    ),
    ErrorCase(
        "clamp-type", lambda: ops.conv2d(_x(), _W, clamp="a"), TypeError, ("clamp", "number", "str")
    ),
    ErrorCase(
        "backend", lambda: ops.conv2d(_x(), _W, backend="tpu"), ValueError, ("backend", "'tpu'")
    ),
    ErrorCase(
        "set_winograd", lambda: ops.set_winograd(1), TypeError, ("enabled", "True or False", "1")
    ),
    ErrorCase(
        "transposed-weight",
        lambda: ops.conv_transpose2d(_x(), _W),
        ValueError,
        ("[C, O/groups, kh, kw]", "[6, 4, 3, 3]"),
    ),
]

CONV2D = OpSpec(
    name="conv2d",
    op=ops.conv2d,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[],
    # The convolution rounds to the half type before the epilogue does.
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 1e-5,
        torch.float16: 4e-3,
        torch.bfloat16: 3e-2,
    },
)
