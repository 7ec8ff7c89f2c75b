"""The :class:`OpSpec` of scale_bias_act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import ACTIVATIONS, activation_options
from fastgan.ops.scale_bias_act import reference
from tests.specs.build import (
    ROUNDED_ONCE,
    away_from_kinks,
    leaves,
    normal,
    on,
    refusals,
    sample,
    tensors_of,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, Penalty, RegisteredCall, Sample, Saved

#: The tensors that a sample has, of scale, noise and b; ``1`` is noise that all images share.
EVERYTHING = "snb"


def _values(
    shape: Sequence[int],
    given: str,
    seed: int,
    *,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
) -> list[Tensor | None]:
    """Draw x, scale, noise and b that bfloat16 holds exactly, away from kinks."""
    generator = torch.Generator().manual_seed(seed)

    def random(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).bfloat16().double()

    n, c, h, w = shape
    x, scale, noise, b = random(*shape), None, None, None
    if "s" in given:
        scale = (random(n, c).sign() * (random(n, c).abs() + 0.5)).bfloat16().double()
    if "n" in given or "1" in given:
        noise = random(1 if "1" in given else n, 1, h, w)
    if "b" in given:
        b = random(c)
    x = away_from_kinks(
        x,
        lambda x: reference.pre_activation(x, scale, noise, b),
        activation_options(act, alpha, gain, clamp),
    )
    return [x, scale, noise, b]


def _sample(
    id: str,
    shape: Sequence[int],
    given: str = EVERYTHING,
    layout: Layout | None = None,
    *,
    large: bool = False,
    small: bool = False,
    **options: Any,
) -> Sample:
    def draw() -> list[Tensor | None]:
        return _values(shape, given, len(id), **options)

    return sample(id, draw, layout, large=large, small=small, **options)


_SMALL = (3, 3, 2, 5)


def _samples_of_activations() -> list[Sample]:
    found = [_sample("lrelu-clamp-small", _SMALL, act="lrelu", clamp=1.25, small=True)]
    for act in ACTIVATIONS:
        found.append(
            _sample(f"{act}-channels_last", (2, 19, 3, 7), "s1b", channels_last, act=act, clamp=1.0)
        )
        if act != "lrelu":
            found.append(_sample(f"{act}-small", _SMALL, act=act, small=True))
    for given in ("", "s", "1", "nb"):
        name = f"{given or 'x'}-swish"
        found.append(
            _sample(name, (3, 3, 3, 4), given, act="swish", clamp=2.0, small=given in ("s", "1"))
        )
    for given in ("", "s", "1b"):
        found.append(_sample(f"{given or 'x'}-linear", (2, 4, 5, 7), given))
    return found


_OTHERS = [
    _sample("vectors-rows", (2, 3, 16, 16), act="lrelu"),
    _sample("vectors-channels_last", (2, 32, 6, 6), layout=channels_last, act="lrelu"),
    _sample("wide-rows", (2, 5, 90, 101), act="lrelu", clamp=1.0),
    _sample("wide-channels_last", (2, 70, 23, 25), layout=channels_last, act="tanh"),
    _sample("many-channels", (1, 700, 3, 3), "s1b", act="relu"),
    _sample("many-channels_last", (3, 2100, 1, 2), layout=channels_last, act="swish"),
    _sample("hundreds-of-images", (300, 2, 2, 2), "s1b", act="swish"),
    _sample("many-images", (40, 6, 4, 5), "s1b", act="relu"),
    _sample("many-images-channels_last", (40, 6, 4, 5), "s1b", channels_last, act="relu"),
    _sample("one-pixel", (5, 9, 1, 1), act="relu"),
    _sample("one-channel", (3, 1, 6, 7), act="lrelu"),
    _sample("one-element", (1, 1, 1, 1), "s1b", act="lrelu"),
    _sample("transposed", (6, 4, 3, 5), layout=transposed, act="lrelu"),
    _sample("every-other", (2, 3, 4, 5), layout=every_other, act="swish"),
    _sample("expanded", (3, 4, 4, 2), "1b", expanded, act="lrelu"),
    _sample("unaligned", (2, 3, 8, 8), layout=unaligned, act="lrelu"),
    _sample("empty-batch", (0, 3, 4, 4), "s1b", act="swish"),
    _sample("empty-image", (2, 3, 0, 4), act="lrelu"),
    _sample("gain-negative", (2, 3, 5, 7), act="lrelu", gain=-1.5, alpha=-0.3, clamp=1.5),
    _sample("clamp-zero", (2, 3, 5, 7), clamp=0.0),
    _sample("large", (2, 66, 180, 180), act="lrelu", clamp=1.0, large=True),
    _sample(
        "large-channels_last", (2, 64, 186, 186), "s1b", channels_last, act="swish", large=True
    ),
]


def _call(
    id: str, op: str, act: str, given: str = EVERYTHING, clamp: float | None = None
) -> RegisteredCall:
    sloped = act != "linear" or clamp is not None
    curved = act not in ("linear", "relu", "lrelu")

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        drawn = _values((2, 3, 4, 5), given, 3, act=act, clamp=clamp)
        x, scale, noise, b = on(dtype, device, *drawn)
        settings = activation_options(act, None, None, clamp)
        if op == "scale_bias_act":
            return *leaves(x, scale, noise, b), *settings
        assert x is not None
        dy, ddx = torch.cos(3 * x), torch.sin(2 * x)
        dd = [None if t is None else torch.sin(t) for t in (scale, noise, b)]
        needs = [t is not None for t in (scale, noise, b)]
        if not sloped and scale is None:
            x, b = None, None
        if op == "scale_bias_act_backward":
            return *leaves(dy, x, scale, noise, b), *settings, *needs
        needs = [curved or scale is not None, needs[0], curved and needs[1], curved and needs[2]]
        return *leaves(ddx, *dd, dy, x, scale, noise, b), *settings, *needs

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "scale_bias_act", "lrelu", clamp=0.75),
    _call("forward-scale", "scale_bias_act", "linear", "s"),
    _call("backward", "scale_bias_act_backward", "lrelu", "s1b", clamp=0.75),
    _call("backward-linear", "scale_bias_act_backward", "linear", "nb"),
    _call("double-backward", "scale_bias_act_double_backward", "lrelu", clamp=0.75),
    _call("double-backward-curved", "scale_bias_act_double_backward", "swish", "s1b"),
]


_x = zeros(2, 3, 4, 5)
_refused = refusals(ops.scale_bias_act, x=_x())
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-int", TypeError, "x", "int64", "float32", x=_x(dtype=torch.int64)),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[2, 3]", x=_x(2, 3)),
    _refused("scale-type", TypeError, "scale", "float", scale=2.0),
    _refused("scale-dtype", TypeError, "scale", "float32", "float64", scale=_x(2, 3).double()),
    _refused("scale-shape", ValueError, "scale", "[2, 3]", "[3, 3]", scale=_x(3, 3)),
    _refused("scale-rank", ValueError, "scale", "[2, 3]", "[3]", scale=_x(3)),
    _refused("noise-dtype", TypeError, "noise", "float32", "float16", noise=_x(1, 1, 4, 5).half()),
    _refused(
        "noise-shape",
        ValueError,
        "noise",
        "[2, 1, 4, 5] or [1, 1, 4, 5]",
        "[2, 3, 4, 5]",
        noise=_x(),
    ),
    _refused("noise-rank", ValueError, "noise", "[4, 5]", noise=_x(4, 5)),
    _refused("b-shape", ValueError, "b", "[3]", "[2]", b=_x(2)),
    _refused("b-device", ValueError, "b", "cpu", "meta", b=_x(3, device="meta")),
    _refused("act", ValueError, "act", "lrelu", "'gelu'", act="gelu"),
    _refused("clamp", ValueError, "clamp", "at least 0", "-1", clamp=-1),
    _refused("gain", ValueError, "gain", "nan", gain=float("nan")),
    _refused("backend", ops.BackendUnavailable, "cpu", "meta", x=_x(device="meta"), backend="cpu"),
]

# Forward reads x and writes y. Backward reads dy and x and writes dx. The second derivative, with a
# direction for every input, reads ddx, dy and x and writes ddy and dx.
_MOVED = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 5.0}


def _benchmark(
    id: str, shape: Sequence[int], layout: Layout | None, all_four: bool, **options: Any
) -> BenchmarkCase:
    n, c, h, w = shape
    rest = [(n, 1, h, w), (c,)] if all_four else [None, None]
    draw = tensors_of(lambda: normal(shape, (n, c), *rest), layout)
    return BenchmarkCase(id, draw, options, _MOVED)


def _benchmarks() -> list[BenchmarkCase]:
    found = []
    for name, shape in (("32", (8, 256, 32, 32)), ("64", (8, 128, 64, 64))):
        for suffix, layout in (("", None), ("-channels_last", channels_last)):
            lrelu = {"act": "lrelu", "clamp": 256.0}
            found.append(_benchmark(f"lrelu-{name}{suffix}", shape, layout, True, **lrelu))
            found.append(_benchmark(f"scale-{name}{suffix}", shape, layout, False))
    return found


_LINEAR = _sample("linear", (2, 3, 4, 5))
_LRELU = _sample("lrelu", (2, 3, 4, 5), act="lrelu")

SCALE_BIAS_ACT = OpSpec(
    name="scale_bias_act",
    op=ops.scale_bias_act,
    samples=[*_samples_of_activations(), *_OTHERS],
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=_benchmarks(),
    tolerance=ROUNDED_ONCE,
    batched=(0, 1, 2),
    threaded=[
        _sample(f"{size}-{order}", shape, given, layout, act="swish")
        for size, shape, given in (
            ("wide", (3, 40, 40, 50), "snb"),
            ("shared-noise", (5, 20, 30, 41), "s1b"),
        )
        for order, layout in (("rows", None), ("channels_last", channels_last))
    ],
    # x is saved for a slope or the gradient of scale, noise and b with it; never the output.
    saved=[
        Saved(_LINEAR, kept=[0, 1, 2]),
        Saved(_LINEAR, wanted=[0, 2, 3], kept=[1, 2]),
        Saved(_LINEAR, wanted=[0], kept=[1]),
        Saved(_sample("clamped", (2, 3, 4, 5), clamp=1.0), wanted=[0], kept=[0, 1, 2, 3]),
        Saved(_LRELU, kept=[0, 1, 2, 3]),
    ],
    penalties=[Penalty(_LRELU, frozenset({"dscale"}))],
)
