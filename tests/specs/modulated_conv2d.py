"""The :class:`OpSpec` of modulated_conv2d, and its definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.conv2d import values, weight_values
from tests.specs.layouts import channels_last, transposed
from tests.specs.spec import ErrorCase, OpSpec, Sample

Layout = Callable[[Tensor], Tensor]
FILTER = ops.setup_filter([1, 3, 3, 1])


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None,
    bias: Tensor | None,
    *,
    resample_filter: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Call the op with all its tensors as positional arguments.

    The filter, which has no gradient, is moved to the device of ``x``.
    """
    f = None if resample_filter is None else resample_filter.to(x.device)
    return ops.modulated_conv2d(
        x, weight, styles, noise=noise, bias=bias, resample_filter=f, **options
    )


def definition(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    noise: Tensor | None,
    bias: Tensor | None,
    *,
    demodulate: bool = True,
    up: int = 1,
    down: int = 1,
    padding: int | None = None,
    resample_filter: Tensor | None = None,
    flip_weight: bool = True,
    input_gain: float | None = None,
    **epilogue: Any,
) -> Tensor:
    """Convolve with separate weights for every sample, as the op is defined."""
    n, c = x.shape[:2]
    o, _, kh, kw = weight.shape
    w = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        w = w * (w.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    w = (w if input_gain is None else w * input_gain).reshape(n * o, c, kh, kw)
    image = x.reshape(1, n * c, *x.shape[2:])
    sides = [kw // 2, kw // 2, kh // 2, kh // 2] if padding is None else [padding] * 4
    t = ops.conv2d_resample(
        image,
        w,
        resample_filter,
        up=up,
        down=down,
        padding=sides,
        groups=n,
        flip_weight=flip_weight,
        backend="reference",
    )
    t = t.reshape(n, o, *t.shape[2:])
    return ops.bias_act(
        t if noise is None else t + noise,
        bias,
        **{"act": "linear", **epilogue},
        backend="reference",
    )


def _sample(
    id: str,
    shape: Sequence[int],
    out: int,
    kernel: int,
    layout: Layout | None = None,
    *,
    noise: int | None = None,
    bias: bool = True,
    small: bool = False,
    **options: Any,
) -> Sample:
    n, c, h, w = shape
    if "up" in options or "down" in options:
        options["resample_filter"] = FILTER

    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        size = [s * options.get("up", 1) // options.get("down", 1) for s in (h, w)]
        rest = [
            weight_values((out, c, kernel, kernel), 2),
            1 + values((n, c), 3, 0.5),
            None if noise is None else values((noise, 1, *size), 4, 0.25),
            values((out,), 5, 0.5) if bias else None,
        ]
        x = values(shape, 1).to(device, dtype)
        return (
            x if layout is None else layout(x),
            *(None if t is None else t.to(device, dtype) for t in rest),
        )

    return Sample(id, tensors, options, small=small)


_SAMPLES = [
    _sample("small", (3, 3, 5, 4), 4, 3, noise=3, act="swish", small=True),
    _sample("small-up2", (3, 3, 4, 4), 4, 3, noise=1, act="tanh", up=2, small=True),
    _sample("to-image", (3, 3, 4, 4), 4, 1, demodulate=False, clamp=256.0, small=True),
    _sample("down2", (2, 4, 8, 6), 5, 3, noise=1, act="swish", down=2, bias=False),
    _sample("pointwise-up2", (2, 4, 5, 5), 3, 1, channels_last, up=2, input_gain=0.5),
    _sample("turned", (2, 4, 5, 5), 3, 3, transposed, flip_weight=False, input_gain=1.5),
    _sample("empty-batch", (0, 4, 4, 4), 3, 3, act="lrelu"),
    # Enough channels and tiles for Winograd's algorithm on the CPU in float32.
    _sample("winograd", (2, 64, 24, 22), 72, 3, channels_last, noise=2, act="swish"),
    _sample(
        "winograd-up2",
        (4, 64, 16, 16),
        64,
        3,
        channels_last,
        noise=1,
        act="tanh",
        up=2,
        flip_weight=False,
    ),
    _sample(
        "winograd-contiguous", (3, 66, 20, 21), 64, 3, act="linear", demodulate=False, gain=0.5
    ),
]


def _x(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(shape or (2, 4, 5, 5), **options)


_W, _S = torch.zeros(6, 4, 3, 3), torch.zeros(2, 4)


def _error(id: str, error: type[Exception], says: tuple[str, ...], **changed: Any) -> ErrorCase:
    def call() -> Tensor:
        given: dict[str, Any] = {"x": _x(), "weight": _W, "styles": _S, **changed}
        return ops.modulated_conv2d(
            given.pop("x"), given.pop("weight"), given.pop("styles"), **given
        )

    return ErrorCase(id, call, error, says)


_ERRORS = [
    _error("x-int", TypeError, ("x", "int64"), x=_x(dtype=torch.int64)),
    _error("x-rank", ValueError, ("x", "[N, C, H, W]", "[4, 5]"), x=_x(4, 5)),
    _error("weight-type", TypeError, ("weight", "list"), weight=[1.0]),
    _error("weight-dtype", TypeError, ("weight", "float32", "float64"), weight=_W.double()),
    _error(
        "weight-shape",
        ValueError,
        ("weight", "[O, 4, kh, kw]", "[6, 3, 3, 3]"),
        weight=_x(6, 3, 3, 3),
    ),
    _error("weight-device", ValueError, ("weight", "cpu", "meta"), weight=_W.to("meta")),
    _error("styles-shape", ValueError, ("styles", "[2, 4]", "[4]"), styles=_x(4)),
    _error("styles-dtype", TypeError, ("styles", "float32", "float16"), styles=_S.half()),
    _error("noise-shape", ValueError, ("noise", "[2, 1, 4, 4]"), noise=_x(2, 1, 4, 4)),
    _error("noise-type", TypeError, ("noise", "int"), noise=3),
    _error("bias-shape", ValueError, ("[6]", "[5]"), bias=_x(5)),
    _error("bias-type", TypeError, ("bias", "str"), bias="zeros"),
    _error("up", ValueError, ("up", "at least 1", "0"), up=0),
    _error("down", TypeError, ("down", "1.5"), down=1.5),
    _error("padding", ValueError, ("padding", "3"), padding=(1, 2, 3)),
    _error("too-small", ValueError, ("to be downsampled by 1",), x=_x(2, 4, 1, 1), padding=0),
    _error("input_gain", ValueError, ("input_gain", "[4]", "[3]"), input_gain=_x(3)),
    _error("act", ValueError, ("act", "'gelu'"), act="gelu"),
    _error(
        "filter",
        TypeError,
        ("float64",),
        up=2,
        resample_filter=FILTER.double() if FILTER is not None else None,
    ),
    _error("backend", ValueError, ("backend", "'tpu'"), backend="tpu"),
]

MODULATED_CONV2D = OpSpec(
    name="modulated_conv2d",
    op=modulated_conv2d,
    samples=_SAMPLES,
    registered=[],
    errors=_ERRORS,
    benchmarks=[],
    # Half types round weights, styles, the convolution and the result.
    tolerance={
        torch.float64: 1e-12,
        torch.float32: 2e-5,
        torch.float16: 1e-2,
        torch.bfloat16: 8e-2,
    },
    batched=(0, 2, 3),
)
