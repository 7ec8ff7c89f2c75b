"""The :class:`OpSpec` of adaptive_norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import torch_activation_options
from fastgan.ops.adaptive_norm import reference
from tests.specs.build import (
    away_from_kinks,
    leaves,
    normal,
    on,
    refusals,
    sample,
    tensors_of,
    tolerance,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, OpSpec, Penalty, RegisteredCall, Sample, Saved

#: The parameters that a sample has: s scale, t shift, m mean and variance, ``[N, C]``, in capitals
#: ``[C]``; x and y scale and shift of the shape of x; r a residual.
EVERYTHING = "st"
MAPS = {"s": "x", "t": "y"}


def adaptive_norm(
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    mean: Tensor | None = None,
    var: Tensor | None = None,
    residual: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Call the op with all its tensors as positional arguments."""
    return ops.adaptive_norm(x, scale, shift, mean=mean, var=var, residual=residual, **options)


def _values(
    shape: Sequence[int],
    given: str,
    seed: int,
    *,
    over: str = "sample",
    eps: float = 1e-5,
    act: str = "linear",
    alpha: float | None = None,
    gain: float = 1.0,
    clamp: float | None = None,
) -> list[Tensor | None]:
    """Draw tensors that bfloat16 holds exactly, away from kinks."""
    generator = torch.Generator().manual_seed(seed)

    def random(size: Sequence[int]) -> Tensor:
        return torch.randn(tuple(size), generator=generator, dtype=torch.float64)

    def exact(t: Tensor) -> Tensor:
        return t.bfloat16().double()

    def of(letter: str) -> Tensor | None:
        size = shape[:2] if letter in given else shape[1:2] if letter.upper() in given else None
        if letter in MAPS and MAPS[letter] in given:
            size = shape
        return None if size is None else exact(random(size))

    scale, shift, mean, var = (of(letter) for letter in "stmm")
    scale = scale if scale is None else exact(0.5 * scale)
    var = var if var is None else exact(var.abs() + 0.5)
    x = exact(random(shape) + 0.5)
    options = torch_activation_options(act, alpha, gain, clamp)
    if clamp or act in ("relu", "lrelu", "elu", "selu"):

        def v_of(x: Tensor) -> Tensor:
            settings = {"over": over, "eps": eps, "backend": "reference"}
            return adaptive_norm(x, scale, shift, mean, var, **settings)

        x = away_from_kinks(x, v_of, options, times=60)
    return [x, scale, shift, mean, var, exact(random(shape)) if "r" in given else None]


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
    count = 6 if "r" in given else 5 if "m" in given.lower() else 3

    def draw() -> list[Tensor | None]:
        return _values(shape, given, len(id), **options)[:count]

    images = (0, *(place for letter, place in (("x", 1), ("y", 2), ("r", 5)) if letter in given))
    return sample(id, draw, layout, laid_out=images, large=large, small=small, **options)


_SMALL = (3, 2, 2, 4)


_SAMPLES = [
    _sample("sample-lrelu-small", _SMALL, act="lrelu", clamp=1.25, small=True),
    _sample("batch-swish-small", _SMALL, over="batch", act="swish", small=True),
    _sample("given-swish-small", _SMALL, "stM", act="swish", small=True),
    _sample("maps-softplus", _SMALL, "xyr", over="batch", act="softplus", small=True),
    _sample(
        "maps-lrelu-channels_last", (2, 19, 3, 4), "xyr", channels_last, act="lrelu", clamp=1.5
    ),
    _sample(
        "scale-map-batch-relu-channels_last",
        (3, 40, 5, 4),
        "xt",
        channels_last,
        over="batch",
        act="relu",
    ),
    _sample("shift-map-given", (2, 3, 16, 24), "syM", act="swish"),
    _sample("scale-map", (2, 3, 8, 8), "x", act="tanh"),
    _sample("residual-1d", (2, 3, 9), "tr", act="elu"),
    _sample("given-linear", (2, 3, 3, 5), "stM"),
    _sample("given-lrelu-channels_last", (2, 19, 3, 4), "SM", channels_last, act="lrelu"),
    _sample(
        "batch-relu-channels_last", (3, 19, 3, 4), "ST", channels_last, over="batch", act="relu"
    ),
    _sample("sample-tanh-channels_last", (2, 32, 4, 4), "t", channels_last, act="tanh"),
    _sample("sample-linear", (2, 3, 8, 8), ""),
    _sample("batch-linear", (2, 3, 4, 8), "s", over="batch", eps=0.1),
    _sample("sample-elu-rows", (2, 3, 16, 24), act="elu", clamp=2.0),
    _sample("sample-selu-1d", (2, 3, 9), act="selu"),
    _sample("batch-sigmoid-0d", (6, 5), over="batch", act="sigmoid"),
    _sample("batch-lrelu-3d", (2, 2, 2, 3, 4), over="batch", act="lrelu", gain=-1.5, alpha=-0.3),
    _sample("many-channels_last", (3, 150, 2, 3), "t", channels_last, over="batch", act="softplus"),
    _sample(
        "many-maps-channels_last", (3, 150, 2, 3), "xy", channels_last, over="batch", act="lrelu"
    ),
    _sample("maps-unaligned", (2, 3, 8, 8), "xyr", unaligned, act="lrelu"),
    _sample("many-images", (40, 6, 2, 3), "ST", over="batch", act="relu"),
    _sample("one-channel", (3, 1, 6, 7), act="lrelu"),
    _sample("transposed", (6, 4, 3, 5), layout=transposed, act="lrelu"),
    _sample("every-other", (2, 3, 4, 5), layout=every_other, over="batch", act="swish"),
    _sample("expanded", (3, 4, 4, 2), "st", expanded, act="swish"),
    _sample("unaligned", (2, 3, 8, 8), layout=unaligned, act="lrelu"),
    _sample("empty-batch", (0, 3, 4, 4), over="batch", act="swish"),
    _sample("empty-image", (2, 3, 0, 4), act="lrelu"),
    _sample("clamp-zero", (2, 3, 5, 7), clamp=0.0),
    _sample("large", (2, 33, 130, 130), act="lrelu", large=True),
    _sample(
        "large-maps-channels_last",
        (2, 64, 93, 93),
        "xyr",
        channels_last,
        over="batch",
        act="relu",
        large=True,
    ),
    _sample(
        "large-channels_last",
        (2, 64, 93, 93),
        "ST",
        channels_last,
        over="batch",
        act="swish",
        large=True,
    ),
]


def _call(
    id: str, op: str, over: str, act: str, clamp: float | None = None, *, given: str = ""
) -> RegisteredCall:
    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        stats_too = over == "given"
        drawn = _values(
            (2, 3, 4, 5),
            given or ("stm" if stats_too else "st"),
            3,
            act=act,
            clamp=clamp,
            over="sample" if stats_too else over,
        )
        x, scale, shift, mean, var, residual = on(dtype, device, *drawn)
        assert x is not None
        settings = (over, 1e-5, *torch_activation_options(act, None, 1.0, clamp))
        if op == "adaptive_norm":
            return *leaves(x, scale, shift, mean, var, residual), *settings
        dy, ddx = torch.cos(3 * x), torch.sin(2 * x)
        stats = leaves(mean, var) if stats_too else reference.moments(x, over)
        inputs = (*leaves(dy, x, scale, shift), *stats)
        if op == "adaptive_norm_backward":
            return *inputs, *settings, True, True, stats_too
        dd = [None if t is None else torch.sin(t.detach()) for t in (scale, shift, mean, var)]
        # Tracing the third order takes seconds; gradcheck takes it.
        plain = (t if t is None else t.detach() for t in inputs)
        return ddx, *dd, *plain, *settings, True, True, True, stats_too

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward-sample", "adaptive_norm", "sample", "lrelu", 0.75),
    _call("forward-given", "adaptive_norm", "given", "linear"),
    _call("forward-maps", "adaptive_norm", "batch", "lrelu", given="xyr"),
    _call("backward-maps", "adaptive_norm_backward", "batch", "lrelu", given="xy"),
    _call("backward-batch", "adaptive_norm_backward", "batch", "lrelu", 0.75),
    _call("backward-given", "adaptive_norm_backward", "given", "linear"),
    _call("double-backward-sample", "adaptive_norm_double_backward", "sample", "swish"),
    _call("double-backward-given", "adaptive_norm_double_backward", "given", "swish"),
]


_x = zeros(2, 3, 4, 5)
_refused = refusals(ops.adaptive_norm, x=_x())
_ERRORS = [
    _refused("x-list", TypeError, "x", "list", x=[1.0]),
    _refused("x-rank", ValueError, "x", "[N, C, *]", "[3]", x=_x(3)),
    _refused("scale-dtype", TypeError, "scale", "float32", "float64", scale=_x(2, 3).double()),
    _refused(
        "scale-shape",
        ValueError,
        "scale",
        "[3] or [2, 3] or [2, 3, 4, 5]",
        "[3, 3]",
        scale=_x(3, 3),
    ),
    _refused("shift-shape", ValueError, "shift", "[2]", shift=_x(2)),
    _refused("shift-device", ValueError, "shift", "cpu", "meta", shift=_x(3, device="meta")),
    _refused("residual-shape", ValueError, "residual", "[2, 3, 4, 5]", "[3]", residual=_x(3)),
    _refused("mean-alone", ValueError, "mean and var", "mean alone", mean=_x(3)),
    _refused("var-alone", ValueError, "mean and var", "var alone", var=_x(3)),
    _refused("mean-type", TypeError, "mean", "float", mean=1.0, var=_x(3)),
    _refused("mean-shape", ValueError, "mean", "[3] or [2, 3]", "[4]", mean=_x(4), var=_x(3)),
    _refused("var-dtype", TypeError, "var", "float32", "float64", mean=_x(3), var=_x(3).double()),
    _refused("var-device", ValueError, "var", "meta", mean=_x(3), var=_x(3, device="meta")),
    _refused("over", ValueError, "over", "'sample' or 'batch'", "'layer'", over="layer"),
    _refused("eps", ValueError, "eps", "above 0", "0", eps=0.0),
    _refused("eps-type", TypeError, "eps", "number", "str", eps="1e-5"),
    _refused("act", ValueError, "act", "lrelu", "'gelu'", act="gelu"),
    _refused("clamp", ValueError, "clamp", "at least 0", "-1", clamp=-1),
    _refused("backend", ops.BackendUnavailable, "cpu", "meta", x=_x(device="meta"), backend="cpu"),
]


def _benchmark(
    id: str, shape: Sequence[int], given: str, layout: Layout | None = None, **options: Any
) -> BenchmarkCase:
    # Forward reads x twice and writes y. Backward reads dy and x twice and writes dx. The second
    # derivative reads ddx, dy and x twice (three times for curved activations), and writes ddy and
    # dx.
    passes = 3 if options.get("act") == "swish" else 2
    moved = {"forward": 3.0, "forward_backward": 8.0, "double_backward": 3.0 * passes + 2.0}
    if "x" in given:
        # Two maps more are read. Backward writes their gradients, and reads one again with the
        # scale.
        moved = {"forward": 5.0, "forward_backward": 15.0}
    if "r" in given:
        moved = {name: count + 1.0 for name, count in moved.items()}
    size = shape if "x" in given else shape[:2] if "s" in given else None
    rest = [size, size, None, None, shape] if "r" in given else [size, size]
    images = (0, 1, 2) if "x" in given else (0, 5) if "r" in given else (0,)
    draw = tensors_of(lambda: normal(shape, *rest), layout, images)
    return BenchmarkCase(id, draw, options, moved)


def _benchmarks() -> list[BenchmarkCase]:
    found = []
    for suffix, layout in (("", None), ("-channels_last", channels_last)):
        for name, shape in (("32", (8, 256, 32, 32)), ("64", (8, 128, 64, 64))):
            found.append(_benchmark(f"adain-{name}{suffix}", shape, "st", layout, act="lrelu"))
            found.append(
                _benchmark(f"batch-{name}{suffix}", shape, "st", layout, over="batch", act="relu")
            )
        found.append(_benchmark(f"instance-64{suffix}", shape, "", layout, act="relu"))
        found.append(_benchmark(f"residual-64{suffix}", shape, "r", layout))
        found.append(_benchmark(f"spade-64{suffix}", shape, "xy", layout, over="batch", act="relu"))
    return found


_MAPS = (2, 8, 4, 5)
_LINEAR = _sample("linear", (2, 3, 4, 5))

ADAPTIVE_NORM = OpSpec(
    name="adaptive_norm",
    op=adaptive_norm,
    samples=_SAMPLES,
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=_benchmarks(),
    tolerance=tolerance(1e-11, 1e-5, 4e-3, 3e-2),
    batched=(0, 1, 2, 5),
    threaded=[
        _sample(f"{over}-{order}", (3, 40, 40, 50), "st", layout, over=over, act="swish")
        for over in ("sample", "batch")
        for order, layout in (("rows", None), ("channels_last", channels_last))
    ],
    # SPADE runs in one pass, which saves x, the maps and the statistics.
    saved=[
        Saved(_sample("maps", _MAPS, "xyr", act="relu", over="batch"), [0, 1, 2], more=[8, 8]),
        Saved(
            _sample("maps-channels_last", _MAPS, "xyr", channels_last, act="relu", over="batch"),
            *([0, 1, 2], None, [8, 8]),
        ),
        # A slope of 1 needs no shift.
        Saved(_LINEAR, kept=[0, 1], more=[6, 6]),
    ],
    penalties=[Penalty(_LINEAR, frozenset({"dx", "dscale"}))],
)
