"""The :class:`OpSpec` of scale_bias_act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from fastgan.ops._activations import ACTIVATIONS, activation, activation_options
from fastgan.ops.scale_bias_act import reference
from tests.specs.layouts import channels_last, every_other, expanded, transposed, unaligned
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall, Sample

Layout = Callable[[Tensor], Tensor]
Given = tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]

#: The tensors that a sample has, of scale, noise and b; ``1`` is noise that all images share.
EVERYTHING = "snb"


def _values(shape: Sequence[int], given: str, seed: int, options: dict[str, Any]) -> Given:
    """Draw x, scale, noise and b that bfloat16 holds exactly.

    v stays away from the kink at 0 and from the values where the clamp begins.
    """
    generator = torch.Generator().manual_seed(seed)

    def random(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).bfloat16().double()

    n, c, h, w = shape
    x = random(*shape)
    scale = (
        (random(n, c).sign() * (random(n, c).abs() + 0.5)).bfloat16().double()
        if "s" in given
        else None
    )
    noise = random(1 if "1" in given else n, 1, h, w) if "n" in given or "1" in given else None
    b = random(c) if "b" in given else None
    act, alpha, gain, clamp = activation_options(
        options.get("act", "linear"), *(options.get(k) for k in ("alpha", "gain", "clamp"))
    )
    for _ in range(50):
        v = reference.pre_activation(x, scale, noise, b)
        doubtful = v.abs() < 0.02
        if clamp:
            y = activation(v, act, alpha) * gain
            doubtful |= (y.abs() - clamp).abs() < 0.04 * clamp
        if not doubtful.any():
            break
        x = torch.where(doubtful, (x + 0.1875).bfloat16().double(), x)
    return x, scale, noise, b


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
        x, *rest = _values(shape, given, len(id), options)
        x = x.to(device, dtype)
        x = x if layout is None else layout(x)
        return x, *(None if t is None else t.to(device, dtype) for t in rest)

    return Sample(id, tensors, options, large=large, small=small)


_SMALL = (3, 3, 2, 5)


def _samples() -> list[Sample]:
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
    found += [
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
    return found


def _call(
    id: str, op: str, act: str, given: str = EVERYTHING, clamp: float | None = None
) -> RegisteredCall:
    sloped = act != "linear" or clamp is not None
    curved = act not in ("linear", "relu", "lrelu")

    def args(dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
        tensors = _values((2, 3, 4, 5), given, 3, {"act": act, "clamp": clamp})
        x, scale, noise, b = (None if t is None else t.to(device, dtype) for t in tensors)
        scalars = activation_options(act, None, None, clamp)

        def wanted(*found: Tensor | None) -> tuple[Tensor | None, ...]:
            return tuple(None if t is None else t.requires_grad_() for t in found)

        if op == "scale_bias_act":
            return *wanted(x, scale, noise, b), *scalars
        assert x is not None
        dy, ddx = torch.cos(3 * x), torch.sin(2 * x)
        dd = [None if t is None else torch.sin(t) for t in (scale, noise, b)]
        needs = [t is not None for t in (scale, noise, b)]
        if not sloped and scale is None:
            x, b = None, None
        if op == "scale_bias_act_backward":
            return *wanted(dy, x, scale, noise, b), *scalars, *needs
        needs = [curved or scale is not None, needs[0], curved and needs[1], curved and needs[2]]
        return *wanted(ddx, *dd, dy, x, scale, noise, b), *scalars, *needs

    return RegisteredCall(id, op, args)


_REGISTERED = [
    _call("forward", "scale_bias_act", "lrelu", clamp=0.75),
    _call("forward-scale", "scale_bias_act", "linear", "s"),
    _call("backward", "scale_bias_act_backward", "lrelu", "s1b", clamp=0.75),
    _call("backward-linear", "scale_bias_act_backward", "linear", "nb"),
    _call("double-backward", "scale_bias_act_double_backward", "lrelu", clamp=0.75),
    _call("double-backward-curved", "scale_bias_act_double_backward", "swish", "s1b"),
]


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 3, 4, 5), **options)


def _error(
    id: str, error: type[Exception], says: tuple[str, ...], *args: Any, **options: Any
) -> ErrorCase:
    return ErrorCase(id, lambda: ops.scale_bias_act(*args, **options), error, says)


_ERRORS = [
    _error("x-list", TypeError, ("x", "list"), [1.0]),
    _error("x-int", TypeError, ("x", "int64", "float32"), _x(dtype=torch.int64)),
    _error("x-rank", ValueError, ("x", "[N, C, H, W]", "[2, 3]"), _x(2, 3)),
    _error("scale-type", TypeError, ("scale", "float"), _x(), 2.0),
    _error("scale-dtype", TypeError, ("scale", "float32", "float64"), _x(), _x(2, 3).double()),
    _error("scale-shape", ValueError, ("scale", "[2, 3]", "[3, 3]"), _x(), _x(3, 3)),
    _error("scale-rank", ValueError, ("scale", "[2, 3]", "[3]"), _x(), _x(3)),
    _error(
        "noise-dtype", TypeError, ("noise", "float32", "float16"), _x(), None, _x(1, 1, 4, 5).half()
    ),
    _error(
        *("noise-shape", ValueError, ("noise", "[2, 1, 4, 5] or [1, 1, 4, 5]", "[2, 3, 4, 5]")),
        _x(),
        None,
        _x(),
    ),
    _error("noise-rank", ValueError, ("noise", "[4, 5]"), _x(), None, _x(4, 5)),
    _error("b-shape", ValueError, ("b", "[3]", "[2]"), _x(), b=_x(2)),
    _error("b-device", ValueError, ("b", "cpu", "meta"), _x(), b=_x(3, device="meta")),
    _error("act", ValueError, ("act", "lrelu", "'gelu'"), _x(), act="gelu"),
    _error("clamp", ValueError, ("clamp", "at least 0", "-1"), _x(), clamp=-1),
    _error("gain", ValueError, ("gain", "nan"), _x(), gain=float("nan")),
    _error("backend", ops.BackendUnavailable, ("cpu", "meta"), _x(device="meta"), backend="cpu"),
]


def _benchmark(
    id: str,
    shape: Sequence[int],
    given: str,
    moved: dict[str, float],
    layout: Layout | None = None,
    **options: Any,
) -> BenchmarkCase:
    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        generator = torch.Generator().manual_seed(0)
        n, c, h, w = shape
        sizes = {"s": (n, c), "n": (n, 1, h, w), "b": (c,)}
        x = torch.randn(list(shape), generator=generator).to(device, dtype)
        x = x if layout is None else layout(x)
        rest = {
            k: torch.randn(size, generator=generator).to(device, dtype) for k, size in sizes.items()
        }
        return x, *(rest[k] if k in given else None for k in "snb")

    return BenchmarkCase(id, tensors, options, moved)


def _benchmarks() -> list[BenchmarkCase]:
    # Forward reads x and writes y. Backward reads dy and x and writes dx. The second derivative,
    # with a direction for every input, reads ddx, dy and x and writes ddy and dx.
    moved = {"forward": 2.0, "forward_backward": 5.0, "double_backward": 5.0}
    found = []
    for name, shape in (("32", (8, 256, 32, 32)), ("64", (8, 128, 64, 64))):
        for suffix, layout in (("", None), ("-channels_last", channels_last)):
            found.append(
                _benchmark(
                    f"lrelu-{name}{suffix}", shape, "snb", moved, layout, act="lrelu", clamp=256.0
                )
            )
            found.append(_benchmark(f"scale-{name}{suffix}", shape, "s", moved, layout))
    return found


SCALE_BIAS_ACT = OpSpec(
    name="scale_bias_act",
    op=ops.scale_bias_act,
    samples=_samples(),
    registered=_REGISTERED,
    errors=_ERRORS,
    benchmarks=_benchmarks(),
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 4e-6,
        torch.float16: 2e-3,
        torch.bfloat16: 1.6e-2,
    },
    batched=(0, 1, 2),
)
