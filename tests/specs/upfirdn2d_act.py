"""The :class:`OpSpec` of upfirdn2d_act."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import ACTIVATIONS, activation_options
from fastgan.ops._library import choose_backend
from fastgan.ops.upfirdn2d_act import upfirdn2d_act
from tests.specs.build import (
    CONVOLUTION,
    leaves,
    normal,
    on,
    refusals,
    sample,
    tensors_of,
    values,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, RegisteredCall, Sample, Saved
from tests.specs.upfirdn2d import taps

#: Activations with a derivative, of some order, that jumps at 0.
_KINKED = ("relu", "lrelu", "elu", "selu")
_BINOMIAL = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def filtered(
    x: Tensor,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    b: Tensor | None = None,
    *,
    f: Tensor | None = _BINOMIAL,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    backend: str | None = None,
    **settings: Any,
) -> Tensor:
    """Call the op with its filter on the device of ``x``, and with the defaults of ``act``."""
    chosen = choose_backend("upfirdn2d_act", x.device, backend)
    f = None if f is None else f.to(x.device)
    options = activation_options(act, alpha, gain, clamp)
    return upfirdn2d_act(chosen, x, f, scale, noise, b, options, **settings)


def _size(shape: Sequence[int], taps: Sequence[int], up: int, sides: Sequence[int]) -> list[int]:
    """Return the height and the width of the result."""
    return [shape[2 + i] * up + sum(sides[2 - 2 * i : 4 - 2 * i]) - taps[i] + 1 for i in (0, 1)]


def _values(
    shape: Sequence[int],
    size: Sequence[int],
    given: str,
    seed: int,
    act: str = "linear",
    clamp: float | None = None,
) -> list[Tensor | None]:
    """Draw x, and those of scale, noise (``1``: one for all images) and b that are given.

    A bias of ±4 or ±12 keeps the activation's input away from kinks.
    """
    n, c, _, _ = shape
    scale = values((n, c), seed + 1, 0.125) + 1 if "s" in given else None
    noise = None
    if "n" in given or "1" in given:
        noise = values((1 if "1" in given else n, 1, *size), seed + 2, 0.125)
    near = [4.0, -4.0] if act in _KINKED else [0.5, -0.5]
    far = [12.0, -12.0] if clamp else []
    b = torch.tensor(near + far, dtype=torch.float64).repeat(c)[:c] if "b" in given else None
    return [values(shape, seed, 0.5), scale, noise, b]


def _sample(
    id: str,
    shape: Sequence[int],
    given: str = "snb",
    layout: Layout | None = None,
    *,
    large: bool = False,
    small: bool = False,
    f: Tensor | None = _BINOMIAL,
    up: int = 1,
    sides: Sequence[int] = (1, 1, 1, 1),
    **options: Any,
) -> Sample:
    span = (1, 1) if f is None else (f.shape[0], f.shape[-1])

    def draw() -> list[Tensor | None]:
        size = _size(shape, span, up, sides)
        kinks = options.get("act", "linear"), options.get("clamp")
        return _values(shape, size, given, len(id), *kinks)

    settings = {"f": f, "up": up, "sides": tuple(sides), **options}
    return sample(id, draw, layout, large=large, small=small, **settings)


_SAMPLES = [
    # One pixel of the first one gives one pixel.
    _sample("small", (3, 2, 3, 4), act="lrelu", clamp=8.0, small=True, sides=(2, 1, 2, 1)),
    _sample("small-swish", (3, 2, 3, 4), "s1b", act="swish", small=True, filter_gain=4.0),
    _sample("small-linear", (3, 2, 3, 4), "snb", small=True, up=2, sides=(2, 1, 2, 1)),
    *(
        _sample(f"{act}-channels_last", (2, 19, 4, 8), "s1b", channels_last, act=act)
        for act in ACTIVATIONS
    ),
    _sample("x-linear", (2, 3, 6, 7), ""),
    _sample("scale-linear", (2, 3, 6, 7), "s", channels_last),
    _sample("noise-linear", (2, 3, 6, 7), "n"),
    _sample("bias-lrelu", (2, 3, 6, 7), "b", act="lrelu"),
    _sample("layer", (2, 6, 33, 33), act="lrelu", clamp=8.0, filter_gain=4.0),
    _sample("layer-channels_last", (2, 32, 17, 19), "snb", channels_last, act="lrelu", clamp=8.0),
    _sample("wide-channels_last", (1, 530, 3, 4), "s1b", channels_last, act="lrelu"),
    _sample("wide-row", (1, 2, 4, 1300), "nb", act="lrelu"),
    _sample("several-tiles", (1, 2, 75, 150), "nb", act="lrelu"),
    _sample("pointwise-up2", (2, 5, 5, 6), act="lrelu", up=2, sides=(2, 1, 2, 1)),
    _sample(
        "pointwise-up2-channels_last",
        (2, 8, 5, 6),
        "snb",
        channels_last,
        act="lrelu",
        up=2,
        sides=(2, 1, 2, 1),
    ),
    _sample("up3", (2, 3, 4, 5), act="tanh", f=taps(5), up=3, sides=(3, 2, 2, 3)),
    _sample("none", (2, 3, 4, 5), act="lrelu", f=None, sides=(0, -1, 1, 0)),
    _sample("2d", (2, 3, 6, 7), act="tanh", f=taps(3, 4)),
    _sample("2d-channels_last", (2, 4, 6, 7), "snb", channels_last, act="tanh", f=taps(3, 4)),
    _sample("flip", (2, 3, 6, 7), act="tanh", f=taps(4), flip_filter=True),
    _sample("many-taps", (1, 2, 20, 22), act="tanh", f=taps(13), sides=(6, 6, 6, 6)),
    # Groups of 16 small images: two whole ones and a part.
    _sample("small-images", (3, 13, 5, 6), act="lrelu", clamp=8.0),
    _sample("one-channel", (3, 1, 6, 7), act="lrelu"),
    _sample("transposed", (3, 2, 8, 9), "s1b", transposed, act="lrelu"),
    _sample("every-other", (2, 3, 8, 6), "snb", every_other, act="lrelu"),
    _sample("unaligned", (1, 2, 17, 33), "snb", unaligned, act="lrelu"),
    _sample("empty-batch", (0, 3, 4, 4), "s1b", act="lrelu"),
    _sample("large", (2, 64, 190, 187), "nb", act="lrelu", clamp=8.0, large=True),
    _sample("large-channels_last", (2, 64, 190, 187), "1b", channels_last, act="lrelu", large=True),
    _sample("large-small-images", (64, 1030, 8, 8), act="lrelu", large=True),
]


def random_sample(seed: int) -> Sample:
    """Draw random arguments from everything that the op takes."""
    draw = random.Random(seed)
    shape = (
        draw.randint(1, 3),
        draw.choice([1, 2, 3, 5, 8, 16, 17, 40]),
        draw.randint(1, 20),
        draw.randint(1, 40),
    )
    kind, up = draw.random(), draw.choice([1, 1, 1, 2, 3])
    f = taps(draw.randint(1, 8)) if kind < 0.6 else taps(draw.randint(1, 5), draw.randint(1, 5))
    f = None if kind > 0.9 else f
    span = (1, 1) if f is None else (f.shape[0], f.shape[-1])
    sides = [draw.randint(-1, 5) for _ in range(4)]
    # The result has a pixel at least.
    sides[1] += max(0, span[1] - shape[3] * up - sides[0] - sides[1])
    sides[3] += max(0, span[0] - shape[2] * up - sides[2] - sides[3])
    act = draw.choice(["linear", "tanh", "swish", "lrelu"])
    given = draw.choice(["", "s", "sn", "s1", "n", "1"]) if act != "lrelu" else "s1b"
    layout = draw.choice([None, None, channels_last, channels_last, every_other, unaligned])
    return _sample(
        f"seed-{seed}", shape, given, layout, f=f, up=up, sides=sides, act=act,
        flip_filter=draw.random() < 0.5, filter_gain=draw.uniform(-1, 1),
    )  # fmt: skip


def _call(id: str, keep: bool, act: str, given: str = "snb") -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        drawn = leaves(*on(dtype, device, *_values((2, 3, 5, 6), (4, 5), given, 3, act)))
        filter = ([1, 1], [1, 1], [1, 1], [5, 4], False, 4.0)
        x, *rest = drawn
        settings = activation_options(act, None, None, None)
        return x, _BINOMIAL.to(device), *rest, *filter, *settings, keep

    return RegisteredCall(id, "upfirdn2d_act", args)


_x = zeros(2, 3, 5, 5)
_refused = refusals(filtered, x=_x(), sides=(1, 1, 1, 1))
_ERRORS = [
    _refused("scale-shape", ValueError, "scale", "[2, 3]", "[3, 3]", scale=_x(3, 3)),
    _refused("noise-shape", ValueError, "noise", "[2, 1, 4, 4]", "[5, 5]", noise=_x(5, 5)),
    _refused("b-dtype", TypeError, "b", "float32", "float64", b=_x(3).double()),
    _refused("no-pixel", ValueError, "at least as large as the filter", sides=(-3, 0, 0, 0)),
]

_LRELU = _sample("lrelu", (2, 3, 5, 6), act="lrelu")
_LINEAR = _sample("linear", (2, 3, 5, 6), "snb")
_PIXELS = 2 * 3 * 4 * 5


def _benchmark(id: str, shape: Sequence[int], layout: Layout | None = None) -> BenchmarkCase:
    """Return the end of a layer that upsamples to twice the height and width of ``shape``."""
    n, c, h, w = shape
    size = (2 * h, 2 * w)

    def draw() -> list[Tensor | None]:
        return normal((n, c, *(s + 1 for s in size)), (n, c), (n, 1, *size), (c,))

    settings = {"sides": (1, 1, 1, 1), "filter_gain": 4.0, "act": "lrelu", "clamp": 256.0}
    # Forward reads x and writes y. With a gradient it also writes the filtered image, from which
    # the derivative of the epilogue goes to another image, and the filter's to dx.
    moved = {"forward": 2.0, "forward_backward": 8.0}
    return BenchmarkCase(id, tensors_of(draw, layout), settings, moved)


UPFIRDN2D_ACT = OpSpec(
    name="upfirdn2d_act",
    op=filtered,
    samples=_SAMPLES,
    registered=[
        _call("keep", True, "lrelu"),
        _call("keep-linear", True, "linear", "s1"),
        _call("again", False, "swish"),
    ],
    errors=_ERRORS,
    benchmarks=[
        _benchmark("layer-64", (8, 128, 64, 64)),
        _benchmark("layer-64-channels_last", (8, 128, 64, 64), channels_last),
        _benchmark("layer-32-channels_last", (8, 256, 32, 32), channels_last),
        _benchmark("layer-4", (16, 512, 4, 4)),
    ],
    # The filtered image is rounded before the derivative of the scale reads it.
    tolerance=CONVOLUTION,
    batched=(0, 1, 2),
    threaded=[_sample("threads", (3, 5, 40, 50), act="lrelu")],
    saved=[
        Saved(_LRELU, kept=[1, 2, 3], more=[4, _PIXELS]),
        Saved(_LINEAR, wanted=[0], kept=[1], more=[4]),
        Saved(_LINEAR, wanted=[0, 2], kept=[1, 2], more=[4]),
    ],
)
