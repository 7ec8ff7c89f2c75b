"""The :class:`OpSpec` of bias_act."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import ACTIVATIONS, CURVED, activation_options
from fastgan.ops.bias_act import reference
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


def _values(
    shape: Sequence[int],
    seed: int,
    act: str,
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    *,
    dim: int = 1,
    bias: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Draw x and b whose sum stays away from kinks."""
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(list(shape), generator=generator, dtype=torch.float64) * 2).bfloat16().double()
    b = torch.randn(shape[dim], generator=generator, dtype=torch.float64).bfloat16().double()

    def v_of(x: Tensor) -> Tensor:
        return x + reference.broadcast(b, x, dim % x.ndim) if bias else x

    x = away_from_kinks(x, v_of, activation_options(act, alpha, gain, clamp))
    return x, b if bias else None


def _sample(
    id: str,
    shape: Sequence[int],
    layout: Layout | None = None,
    *,
    bias: bool = True,
    large: bool = False,
    small: bool = False,
    act: str = "lrelu",
    **options: Any,
) -> Sample:
    def draw() -> tuple[Tensor, Tensor | None]:
        return _values(shape, len(id), act, bias=bias, **options)

    return sample(id, draw, layout, large=large, small=small, act=act, **options)


def _samples_of_activations() -> list[Sample]:
    found = []
    for act in ACTIVATIONS:
        for clamp in (None, 0.75):
            name = f"{act}-clamp" if clamp else act
            found.append(_sample(f"{name}-rows", (2, 3, 5, 7), act=act, clamp=clamp, small=True))
            found.append(_sample(f"{name}-columns", (3, 4), act=act, clamp=clamp, small=True))
            found.append(
                _sample(f"{name}-channels_last", (2, 8, 3, 5), channels_last, act=act, clamp=clamp)
            )
    return found


_OTHERS = [
    _sample("vectors", (2, 3, 16, 16)),
    _sample("vectors-swish", (2, 3, 16, 16), act="swish"),
    _sample("several-segments", (2, 3, 90, 100)),
    _sample("several-segments-swish", (1, 2, 91, 101), act="swish"),
    _sample("one-channel", (3, 1, 6, 7)),
    _sample("one-element", (1, 1)),
    _sample("linear-layer", (5, 70)),
    _sample("wide", (3, 2100)),
    _sample("many-rows", (700, 16)),
    _sample("many-rows-swish", (700, 16), act="swish"),
    _sample("rank-1", (9,), dim=0),
    _sample("rank-3", (2, 5, 33)),
    _sample("rank-5", (2, 3, 2, 3, 4)),
    _sample("rank-5-channels_last", (2, 4, 2, 3, 4), channels_last),
    _sample("channels_last-vectors", (2, 16, 6, 6), channels_last),
    _sample("dim-0", (6, 3, 4), dim=0),
    _sample("dim-2", (2, 3, 4, 5), dim=2),
    _sample("dim-last", (2, 3, 9), dim=-1),
    _sample("transposed", (6, 40), transposed),
    _sample("transposed-rows", (3, 4, 40), transposed, act="swish"),
    _sample("every-other", (2, 3, 4, 5), every_other),
    _sample("every-other-swish", (2, 3, 4, 5), every_other, act="swish"),
    _sample("expanded", (3, 4, 8), expanded),
    _sample("unaligned", (2, 3, 8, 8), unaligned),
    _sample("unaligned-columns", (5, 16), unaligned),
    _sample("no-bias", (2, 3, 5, 7), bias=False, small=True),
    _sample("no-bias-tanh", (2, 3, 5, 7), bias=False, act="tanh", small=True),
    _sample("no-bias-columns", (4, 24), bias=False, act="relu"),
    _sample("empty-batch", (0, 3, 4, 4)),
    _sample("empty-batch-swish", (0, 3, 4, 4), act="swish"),
    _sample("empty-image", (2, 3, 0, 4)),
    _sample("no-channels", (2, 0, 4)),
    _sample("gain", (2, 3, 5, 7), gain=0.5, clamp=0.6),
    _sample("gain-negative", (2, 3, 5, 7), gain=-1.5, small=True),
    _sample("gain-negative-clamp", (2, 3, 5, 7), gain=-1.5, clamp=0.8, act="relu"),
    _sample("gain-zero", (2, 3, 5, 7), gain=0.0),
    _sample("alpha", (2, 3, 5, 7), alpha=0.1),
    _sample("alpha-zero", (2, 3, 5, 7), alpha=0.0),
    _sample("alpha-negative", (2, 3, 5, 7), alpha=-0.3, clamp=1.0, small=True),
    _sample("clamp-zero", (2, 3, 5, 7), clamp=0.0),
    _sample("large", (4, 66, 128, 130), clamp=1.0, large=True),
    _sample("large-swish-channels_last", (2, 64, 186, 186), channels_last, act="swish", large=True),
]


def _call(
    id: str, op: str, act: str, save: str, shape: Sequence[int] = (2, 3, 4, 5), **options: Any
) -> RegisteredCall:
    """Return a registered call.

    Args:
        save: the tensors that the derivative reads: ``"output"``, ``"input"`` or ``"nothing"``.
    """

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x, b = on(dtype, device, *_values(shape, 3, act, **options))
        assert x is not None and b is not None
        dy, ddx, ddb = torch.cos(3 * x), torch.sin(2 * x), torch.sin(b)
        settings = (1, *activation_options(act, None, None, options.get("clamp")))
        y = reference.bias_act(x, b, *settings)
        if op == "bias_act":
            return *leaves(x, b), *settings
        kept = (x, b, None) if save == "input" else (None, None, y if save == "output" else None)
        if op == "bias_act_backward":
            return *leaves(dy), *kept, *settings, True
        curved = save == "input"
        return *leaves(ddx, ddb, dy if curved else None), *kept, *settings, curved

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "bias_act", "lrelu", "output", clamp=0.75),
    _call("forward-curved", "bias_act", "swish", "input"),
    _call("backward", "bias_act_backward", "lrelu", "output", clamp=0.75),
    _call("backward-linear", "bias_act_backward", "linear", "nothing"),
    _call("backward-curved", "bias_act_backward", "tanh", "input"),
    _call("double-backward", "bias_act_double_backward", "lrelu", "output"),
    _call("double-backward-curved", "bias_act_double_backward", "softplus", "input", clamp=0.75),
]


_x = zeros(2, 3, 4, 4)
_refused = refusals(ops.bias_act, x=_x())
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-int", TypeError, "x", "int64", "float32", x=_x(dtype=torch.int64)),
    _refused("x-complex", TypeError, "x", "complex64", x=_x(dtype=torch.complex64)),
    _refused("x-scalar", ValueError, "x", "at least one dimension", x=torch.tensor(1.0)),
    _refused("dim-high", ValueError, "dim", "-4 to 3", "got 4", dim=4),
    _refused("dim-rank-1", ValueError, "dim", "-1 to 0", "got 1", x=_x(3), b=_x(3)),
    _refused("act", ValueError, "act", "lrelu", "'gelu'", act="gelu"),
    _refused("b-type", TypeError, "b", "float", b=1.0),
    _refused("b-dtype", TypeError, "b", "float32", "float64", b=_x(3).double()),
    _refused("b-length", ValueError, "b", "[3]", "[4]", b=_x(4)),
    _refused("b-rank", ValueError, "b", "[3]", "[1, 3]", b=_x(1, 3)),
    _refused("b-device", ValueError, "b", "cpu", "meta", b=_x(3, device="meta")),
    _refused("alpha", ValueError, "alpha", "nan", act="lrelu", alpha=float("nan")),
    _refused("gain", ValueError, "gain", "inf", gain=float("inf")),
    _refused("clamp-negative", ValueError, "clamp", "at least 0", "-1", clamp=-1),
    _refused("clamp-nan", ValueError, "clamp", "nan", clamp=float("nan")),
    _refused("backend-unknown", ValueError, "backend", "'tpu'", "cuda", backend="tpu"),
    _refused(
        "backend-device", ops.BackendUnavailable, "cpu", "meta", x=_x(device="meta"), backend="cpu"
    ),
]


def _benchmark(
    id: str, shape: Sequence[int], layout: Layout | None = None, **options: Any
) -> BenchmarkCase:
    # Forward reads x and writes y. Backward reads dy and y (or x) and writes dx. The second
    # derivative of a curved activation reads ddx, dy and x and writes ddy and dx. That of a
    # piecewise linear one reads ddx and y and writes ddy.
    second = 5.0 if options["act"] in CURVED else 3.0
    moved = {"forward": 2.0, "forward_backward": 5.0, "double_backward": second}
    if options["act"] == "linear" and options.get("clamp") is None:
        # Nothing is saved, and the gradient passes through.
        moved = {"forward": 2.0, "forward_backward": 3.0, "double_backward": 2.0}
    draw = tensors_of(lambda: normal(shape, shape[1:2]), layout)
    return BenchmarkCase(id, draw, options, moved)


_SIZE = (16, 128, 64, 64)

BIAS_ACT = OpSpec(
    name="bias_act",
    op=ops.bias_act,
    samples=[*_samples_of_activations(), *_OTHERS],
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        _benchmark("lrelu-clamp", _SIZE, act="lrelu", clamp=256.0),
        _benchmark("lrelu-clamp-channels_last", _SIZE, channels_last, act="lrelu", clamp=256.0),
        _benchmark("linear", _SIZE, act="linear"),
        _benchmark("swish", _SIZE, act="swish"),
        _benchmark("lrelu-small", (16, 128, 16, 16), act="lrelu"),
    ],
    tolerance=ROUNDED_ONCE,
    threaded=[
        _sample("rows", (2, 3, 40, 50), act="swish"),
        _sample("columns", (300, 20), act="swish"),
    ],
    saved=[
        Saved(_sample("linear", (2, 3, 4, 4), act="linear"), kept=[]),
        Saved(_sample("relu", (2, 3, 4, 4), act="relu"), kept=["y"]),
        Saved(_sample("lrelu", (2, 3, 4, 4)), kept=["y"]),
        Saved(_sample("swish", (2, 3, 4, 4), act="swish"), kept=[0, 1]),
    ],
    penalties=[
        Penalty(_sample("lrelu", (2, 3, 4, 4)), frozenset()),
        Penalty(_sample("swish", (2, 3, 4, 4), act="swish"), frozenset({"db"})),
    ],
)
