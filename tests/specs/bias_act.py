"""The :class:`OpSpec` of bias_act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import ACTIVATIONS, activation
from fastgan.ops.bias_act import reference
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]


def _values(
    shape: Sequence[int], dim: int, seed: int, options: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Draw x and b that bfloat16 holds exactly.

    Their sum stays away from the kink at 0 and from the values where the clamp begins.
    """
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(list(shape), generator=generator, dtype=torch.float64) * 2).bfloat16().double()
    b = torch.randn(shape[dim], generator=generator, dtype=torch.float64).bfloat16().double()
    act = options["act"]
    default_alpha, default_gain = ACTIVATIONS[act]
    alpha = default_alpha if options.get("alpha") is None else options["alpha"]
    gain = default_gain if options.get("gain") is None else options["gain"]
    clamp = options.get("clamp")
    for _ in range(50):
        v = x + reference.broadcast(b, x, dim % x.ndim) if options.get("with_bias", True) else x
        doubtful = v.abs() < 0.02
        if clamp:
            y = activation(v, act, alpha) * gain
            doubtful |= (y.abs() - clamp).abs() < 0.04 * clamp
        if not doubtful.any():
            break
        x = torch.where(doubtful, (x + 0.1875).bfloat16().double(), x)
    return x, b


def _sample(
    id: str,
    shape: Sequence[int],
    layout: Layout | None = None,
    *,
    bias: bool = True,
    large: bool = False,
    small: bool = False,
    **options: Any,
) -> Sample:
    options = {"act": "lrelu", **options}
    dim = options.get("dim", 1)

    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        x, b = _values(shape, dim, len(id), {**options, "with_bias": bias})
        x = x.to(device, dtype)
        return (x if layout is None else layout(x)), (b.to(device, dtype) if bias else None)

    return Sample(id, tensors, options, large=large, small=small)


def _samples() -> list[Sample]:
    found = []
    for act in ACTIVATIONS:
        for clamp in (None, 0.75):
            name = f"{act}-clamp" if clamp else act
            found.append(_sample(f"{name}-rows", (2, 3, 5, 7), act=act, clamp=clamp, small=True))
            found.append(_sample(f"{name}-columns", (3, 4), act=act, clamp=clamp, small=True))
            found.append(
                _sample(f"{name}-channels_last", (2, 8, 3, 5), channels_last, act=act, clamp=clamp)
            )
    found += [
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
        _sample(
            "large-swish-channels_last", (2, 64, 186, 186), channels_last, act="swish", large=True
        ),
    ]
    return found


def _call(
    id: str,
    op: str,
    act: str,
    *,
    save: str,
    shape: Sequence[int] = (2, 3, 4, 5),
    clamp: float | None = None,
) -> RegisteredCall:
    """Return a registered call.

    Args:
        save: the tensors that the derivative reads: ``"output"``, ``"input"`` or ``"nothing"``.
    """

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        x, b = (t.to(device, dtype) for t in _values(shape, 1, 3, {"act": act, "clamp": clamp}))
        dy, ddx, ddb = torch.cos(3 * x), torch.sin(2 * x), torch.sin(b)
        alpha, gain = ACTIVATIONS[act]
        scalars = (1, act, alpha, gain, clamp)
        y = reference.bias_act(x, b, *scalars)
        if op == "bias_act":
            return tuple(t.requires_grad_() for t in (x, b)) + scalars
        kept_x, kept_b = (x, b) if save == "input" else (None, None)
        kept_y = y if save == "output" else None
        if op == "bias_act_backward":
            return (dy.requires_grad_(), kept_x, kept_b, kept_y, *scalars, True)
        curved = save == "input"
        return (
            *(ddx.requires_grad_(), ddb.requires_grad_(), dy.requires_grad_() if curved else None),
            *(kept_x, kept_b, kept_y, *scalars, curved),
        )

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "bias_act", "lrelu", save="output", clamp=0.75),
    _call("forward-curved", "bias_act", "swish", save="input"),
    _call("backward", "bias_act_backward", "lrelu", save="output", clamp=0.75),
    _call("backward-linear", "bias_act_backward", "linear", save="nothing"),
    _call("backward-curved", "bias_act_backward", "tanh", save="input"),
    _call("double-backward", "bias_act_double_backward", "lrelu", save="output"),
    _call(
        "double-backward-curved", "bias_act_double_backward", "softplus", save="input", clamp=0.75
    ),
]


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 3, 4, 4), **options)


_ERRORS = [
    ErrorCase("x-list", lambda: ops.bias_act([1.0]), TypeError, ("x", "list")),
    ErrorCase(
        "x-int", lambda: ops.bias_act(_x(dtype=torch.int64)), TypeError, ("x", "int64", "float32")
    ),
    ErrorCase(
        "x-complex", lambda: ops.bias_act(_x(dtype=torch.complex64)), TypeError, ("x", "complex64")
    ),
    ErrorCase(
        "x-scalar",
        lambda: ops.bias_act(torch.tensor(1.0)),
        ValueError,
        ("x", "at least one dimension"),
    ),
    ErrorCase(
        "dim-high", lambda: ops.bias_act(_x(), dim=4), ValueError, ("dim", "-4 to 3", "got 4")
    ),
    ErrorCase(
        "dim-rank-1", lambda: ops.bias_act(_x(3), _x(3)), ValueError, ("dim", "-1 to 0", "got 1")
    ),
    ErrorCase(
        "act", lambda: ops.bias_act(_x(), act="gelu"), ValueError, ("act", "lrelu", "'gelu'")
    ),
    ErrorCase("b-type", lambda: ops.bias_act(_x(), 1.0), TypeError, ("b", "float")),
    ErrorCase(
        "b-dtype",
        lambda: ops.bias_act(_x(), _x(3).double()),
        TypeError,
        ("b", "float32", "float64"),
    ),
    ErrorCase("b-length", lambda: ops.bias_act(_x(), _x(4)), ValueError, ("b", "[3]", "[4]")),
    ErrorCase("b-rank", lambda: ops.bias_act(_x(), _x(1, 3)), ValueError, ("b", "[3]", "[1, 3]")),
    ErrorCase(
        "b-device",
        lambda: ops.bias_act(_x(), _x(3, device="meta")),
        ValueError,
        ("b", "cpu", "meta"),
    ),
    ErrorCase(
        "alpha",
        lambda: ops.bias_act(_x(), act="lrelu", alpha=float("nan")),
        ValueError,
        ("alpha", "nan"),
    ),
    ErrorCase("gain", lambda: ops.bias_act(_x(), gain=float("inf")), ValueError, ("gain", "inf")),
    ErrorCase(
        "clamp-negative",
        lambda: ops.bias_act(_x(), clamp=-1),
        ValueError,
        ("clamp", "at least 0", "-1"),
    ),
    ErrorCase(
        "clamp-nan", lambda: ops.bias_act(_x(), clamp=float("nan")), ValueError, ("clamp", "nan")
    ),
    ErrorCase(
        "backend-unknown",
        lambda: ops.bias_act(_x(), backend="tpu"),
        ValueError,
        ("backend", "'tpu'", "cuda"),
    ),
    ErrorCase(
        "backend-device",
        lambda: ops.bias_act(_x(device="meta"), backend="cpu"),
        ops.BackendUnavailable,
        ("cpu", "meta"),
    ),
]


def _benchmark(
    id: str, shape: Sequence[int], layout: Layout | None = None, **options: Any
) -> BenchmarkCase:
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(list(shape), generator=generator).to(device, dtype)
        b = torch.randn(shape[1], generator=generator).to(device, dtype)
        return (x if layout is None else layout(x)), b

    curved = options["act"] in ("tanh", "sigmoid", "elu", "selu", "softplus", "swish")
    # Forward reads x and writes y. Backward reads dy and y (or x) and writes dx. The second
    # derivative of a curved activation reads ddx, dy and x and writes ddy and dx. That of a
    # piecewise linear one reads ddx and y and writes ddy.
    moved = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 5.0 if curved else 3.0}
    if options["act"] == "linear" and options.get("clamp") is None:
        # Nothing is saved, and the gradient passes through.
        moved = {"forward": 2.0, "forward_backward": 3.0, "double_backward": 2.0}
    return BenchmarkCase(id, tensors, options, moved)


_SIZE = (16, 128, 64, 64)

BIAS_ACT = OpSpec(
    name="bias_act",
    op=ops.bias_act,
    samples=_samples(),
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=[
        _benchmark("lrelu-clamp", _SIZE, act="lrelu", clamp=256.0),
        _benchmark("lrelu-clamp-channels_last", _SIZE, channels_last, act="lrelu", clamp=256.0),
        _benchmark("linear", _SIZE, act="linear"),
        _benchmark("swish", _SIZE, act="swish"),
        _benchmark("lrelu-small", (16, 128, 16, 16), act="lrelu"),
    ],
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 4e-6,
        torch.float16: 2e-3,
        torch.bfloat16: 1.6e-2,
    },
)
