"""The :class:`OpSpec` of adaptive_norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import activation, torch_activation_options
from fastgan.ops.adaptive_norm import reference
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]
Given = list[Tensor | None]

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


def _values(shape: Sequence[int], given: str, seed: int, options: dict[str, Any]) -> Given:
    """Draw tensors that bfloat16 holds exactly.

    v stays away from the kink at 0 and from the values where the clamp begins.
    """
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
    act, alpha, gain, clamp = torch_activation_options(
        options.get("act", "linear"),
        options.get("alpha"),
        options.get("gain", 1.0),
        options.get("clamp"),
    )
    over, eps = options.get("over", "sample"), options.get("eps", 1e-5)
    for _ in range(60 if clamp or act in ("relu", "lrelu", "elu", "selu") else 0):
        v = adaptive_norm(x, scale, shift, mean, var, over=over, eps=eps, backend="reference")
        doubtful = v.abs() < 0.02
        if clamp:
            doubtful |= ((activation(v, act, alpha) * gain).abs() - clamp).abs() < 0.04 * clamp
        if not doubtful.any():
            break
        x = torch.where(doubtful, exact(x + 0.1875), x)
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
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        x, *rest = (
            None if t is None else t.to(device, dtype)
            for t in _values(shape, given, len(id), options)
        )
        assert x is not None
        while len(rest) > 2 and rest[-1] is None:
            rest.pop()
        arranged = [t if t is None or layout is None or t.ndim < 4 else layout(t) for t in rest]
        return x if layout is None else layout(x), *arranged

    return Sample(id, tensors, options, large=large, small=small)


_SMALL = (3, 2, 2, 4)


def _samples() -> list[Sample]:
    return [
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
        _sample(
            "batch-lrelu-3d", (2, 2, 2, 3, 4), over="batch", act="lrelu", gain=-1.5, alpha=-0.3
        ),
        _sample(
            "many-channels_last", (3, 150, 2, 3), "t", channels_last, over="batch", act="softplus"
        ),
        _sample(
            "many-maps-channels_last",
            (3, 150, 2, 3),
            "xy",
            channels_last,
            over="batch",
            act="lrelu",
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
        shape, stats_too = (2, 3, 4, 5), over == "given"
        options = {"act": act, "clamp": clamp, "over": "sample" if stats_too else over}
        values = _values(shape, given or ("stm" if stats_too else "st"), 3, options)
        x, scale, shift, mean, var, residual = (
            None if t is None else t.to(device, dtype) for t in values
        )
        assert x is not None
        settings = (over, 1e-5, *torch_activation_options(act, None, 1.0, clamp))

        def wanted(*found: Tensor | None) -> tuple[Tensor | None, ...]:
            return tuple(None if t is None else t.requires_grad_() for t in found)

        if op == "adaptive_norm":
            return *wanted(x, scale, shift, mean, var, residual), *settings
        dy, ddx = torch.cos(3 * x), torch.sin(2 * x)
        stats = wanted(mean, var) if stats_too else reference.moments(x, over)
        inputs = (*wanted(dy, x, scale, shift), *stats)
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


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 3, 4, 5), **options)


def _error(
    id: str, error: type[Exception], says: tuple[str, ...], *args: Any, **options: Any
) -> ErrorCase:
    return ErrorCase(id, lambda: ops.adaptive_norm(*args, **options), error, says)


_ERRORS = [
    _error("x-list", TypeError, ("x", "list"), [1.0]),
    _error("x-rank", ValueError, ("x", "[N, C, *]", "[3]"), _x(3)),
    _error("scale-dtype", TypeError, ("scale", "float32", "float64"), _x(), _x(2, 3).double()),
    _error(
        "scale-shape",
        ValueError,
        ("scale", "[3] or [2, 3] or [2, 3, 4, 5]", "[3, 3]"),
        _x(),
        _x(3, 3),
    ),
    _error("shift-shape", ValueError, ("shift", "[2]"), _x(), None, _x(2)),
    _error("shift-device", ValueError, ("shift", "cpu", "meta"), _x(), shift=_x(3, device="meta")),
    _error("residual-shape", ValueError, ("residual", "[2, 3, 4, 5]", "[3]"), _x(), residual=_x(3)),
    _error("mean-alone", ValueError, ("mean and var", "mean alone"), _x(), mean=_x(3)),
    _error("var-alone", ValueError, ("mean and var", "var alone"), _x(), var=_x(3)),
    _error("mean-type", TypeError, ("mean", "float"), _x(), mean=1.0, var=_x(3)),
    _error("mean-shape", ValueError, ("mean", "[3] or [2, 3]", "[4]"), _x(), mean=_x(4), var=_x(3)),
    _error(
        "var-dtype", TypeError, ("var", "float32", "float64"), _x(), mean=_x(3), var=_x(3).double()
    ),
    _error("var-device", ValueError, ("var", "meta"), _x(), mean=_x(3), var=_x(3, device="meta")),
    _error("over", ValueError, ("over", "'sample' or 'batch'", "'layer'"), _x(), over="layer"),
    _error("eps", ValueError, ("eps", "above 0", "0"), _x(), eps=0.0),
    _error("eps-type", TypeError, ("eps", "number", "str"), _x(), eps="1e-5"),
    _error("act", ValueError, ("act", "lrelu", "'gelu'"), _x(), act="gelu"),
    _error("clamp", ValueError, ("clamp", "at least 0", "-1"), _x(), clamp=-1),
    _error("backend", ops.BackendUnavailable, ("cpu", "meta"), _x(device="meta"), backend="cpu"),
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

    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(list(shape), generator=generator).to(device, dtype)
        x = x if layout is None else layout(x)
        maps, residual = "x" in given, "r" in given
        rest = [
            torch.randn(tuple(shape if full else shape[:2]), generator=generator).to(device, dtype)
            for full in (maps, maps, residual)
        ]
        if layout is not None:
            rest = [layout(t) if t.ndim == 4 else t for t in rest]
        scale, shift = (t if maps or letter in given else None for letter, t in zip("st", rest))
        return (x, scale, shift, None, None, rest[2]) if residual else (x, scale, shift)

    return BenchmarkCase(id, tensors, options, moved)


def _benchmarks() -> list[BenchmarkCase]:
    found = []
    for name, shape in (("32", (8, 256, 32, 32)), ("64", (8, 128, 64, 64))):
        for suffix, layout in (("", None), ("-channels_last", channels_last)):
            found.append(_benchmark(f"adain-{name}{suffix}", shape, "st", layout, act="lrelu"))
            found.append(
                _benchmark(f"batch-{name}{suffix}", shape, "st", layout, over="batch", act="relu")
            )
    for suffix, layout in (("", None), ("-channels_last", channels_last)):
        found.append(_benchmark(f"instance-64{suffix}", shape, "", layout, act="relu"))
        found.append(_benchmark(f"residual-64{suffix}", shape, "r", layout))
        found.append(_benchmark(f"spade-64{suffix}", shape, "xy", layout, over="batch", act="relu"))
    return found


ADAPTIVE_NORM = OpSpec(
    name="adaptive_norm",
    op=adaptive_norm,
    samples=_samples(),
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=_benchmarks(),
    tolerance={
        torch.float64: 1e-11,
        torch.float32: 1e-5,
        torch.float16: 4e-3,
        torch.bfloat16: 3e-2,
    },
    batched=(0, 1, 2, 5),
)
