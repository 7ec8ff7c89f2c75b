"""The :class:`OpSpec` of modulated_conv2d, and its definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan import ops
from tests.specs.build import (
    normal,
    refusals,
    sample,
    tensors_of,
    tolerance,
    values,
    weight_values,
    zeros,
)
from tests.specs.layouts import Layout, channels_last, transposed
from tests.specs.spec import BenchmarkCase, OpSpec, Sample

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

    def draw() -> list[Tensor | None]:
        size = [s * options.get("up", 1) // options.get("down", 1) for s in (h, w)]
        return [
            values(shape, 1),
            weight_values((out, c, kernel, kernel), 2),
            1 + values((n, c), 3, 0.5),
            None if noise is None else values((noise, 1, *size), 4, 0.25),
            values((out,), 5, 0.5) if bias else None,
        ]

    return sample(id, draw, layout, small=small, **options)


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


_x = zeros(2, 4, 5, 5)
_W, _S = torch.zeros(6, 4, 3, 3), torch.zeros(2, 4)
_refused = refusals(ops.modulated_conv2d, x=_x(), weight=_W, styles=_S)
_ERRORS = [
    _refused("x-int", TypeError, "x", "int64", x=_x(dtype=torch.int64)),
    _refused("x-rank", ValueError, "x", "[N, C, H, W]", "[4, 5]", x=_x(4, 5)),
    _refused("weight-type", TypeError, "weight", "list", weight=[1.0]),
    _refused("weight-dtype", TypeError, "weight", "float32", "float64", weight=_W.double()),
    _refused(
        "weight-shape",
        ValueError,
        "weight",
        "[O, 4, kh, kw]",
        "[6, 3, 3, 3]",
        weight=_x(6, 3, 3, 3),
    ),
    _refused("weight-device", ValueError, "weight", "cpu", "meta", weight=_W.to("meta")),
    _refused("styles-shape", ValueError, "styles", "[2, 4]", "[4]", styles=_x(4)),
    _refused("styles-dtype", TypeError, "styles", "float32", "float16", styles=_S.half()),
    _refused("noise-shape", ValueError, "noise", "[2, 1, 4, 4]", noise=_x(2, 1, 4, 4)),
    _refused("noise-type", TypeError, "noise", "int", noise=3),
    _refused("bias-shape", ValueError, "[6]", "[5]", bias=_x(5)),
    _refused("bias-type", TypeError, "bias", "str", bias="zeros"),
    _refused("up", ValueError, "up", "at least 1", "0", up=0),
    _refused("down", TypeError, "down", "1.5", down=1.5),
    _refused("padding", ValueError, "padding", "3", padding=(1, 2, 3)),
    _refused("too-small", ValueError, "to be downsampled by 1", x=_x(2, 4, 1, 1), padding=0),
    _refused("input_gain", ValueError, "input_gain", "[4]", "[3]", input_gain=_x(3)),
    _refused("act", ValueError, "act", "'gelu'", act="gelu"),
    _refused("filter", TypeError, "float64", up=2, resample_filter=torch.ones(4).double()),
    _refused("backend", ValueError, "backend", "'tpu'", backend="tpu"),
    refusals(ops.set_fused_modulation)(
        "set_fused_modulation", TypeError, "enabled", "True or False", "1", enabled=1
    ),
]


def _benchmark(
    id: str,
    shape: tuple[int, int, int, int],
    out: int,
    kernel: int,
    moved: Mapping[str, float] | None = None,
    **options: Any,
) -> BenchmarkCase:
    """Return a layer with bias and clamp in channels_last.

    Biases of ±8 keep inputs of a 3×3 layer's activation away from lrelu's kink, where rounding
    changes the gradient.
    """
    batch, channels, height, width = shape
    up = options.get("up", 1)

    def draw() -> list[Tensor | None]:
        size = (batch, 1, height * up, width * up) if kernel > 1 else None
        drawn = normal(shape, (out, channels, kernel, kernel), (batch, channels), size, (out,))
        x, weight, styles, noise, bias = drawn
        assert weight is not None and styles is not None and bias is not None
        if noise is not None:
            noise, bias = noise / 8, bias / 8 + 8 * (-1.0) ** torch.arange(out)
        if not options.get("demodulate", True):
            weight = weight / (channels * kernel**2) ** 0.5
        return [x, weight, 1 + styles / 2, noise, bias]

    once = 2.0 * kernel**2 * channels * out * batch * height * width
    products = {"forward": once, "forward_backward": 3 * once}
    # With upsampling, plain PyTorch's second derivative takes minutes.
    if up == 1:
        # Four for any convolution, and two because the gradient of the demodulation has the result.
        products["double_backward"] = 6 * once
    settings = {"clamp": 256.0, **options}
    tensors = tensors_of(draw, channels_last, (0, 1))
    if moved is not None:
        return BenchmarkCase(id, tensors, settings, moved)
    return BenchmarkCase(id, tensors, settings, products=products)


_IMAGE_MOVED = {
    "forward": 1 + 3 / 256,
    "forward_backward": 3 + 9 / 256,
    "double_backward": 3 + 9 / 256,
}

MODULATED_CONV2D = OpSpec(
    name="modulated_conv2d",
    op=modulated_conv2d,
    samples=_SAMPLES,
    registered=[],
    errors=_ERRORS,
    benchmarks=[
        _benchmark("3x3", (8, 256, 32, 32), 256, 3, act="lrelu"),
        # A transposed convolution of stride 2 multiplies every pixel by every tap, like one of
        # stride 1.
        _benchmark("3x3-up2", (8, 256, 32, 32), 256, 3, act="lrelu", up=2, resample_filter=FILTER),
        # This is memory-bound: it reads the image forward and again for weights and styles, and
        # writes the image's gradient.
        _benchmark("1x1-image", (8, 256, 64, 64), 3, 1, _IMAGE_MOVED, demodulate=False),
    ],
    # Half types round weights, styles, the convolution and the result.
    tolerance=tolerance(1e-12, 2e-5, 1e-2, 8e-2),
    batched=(0, 2, 3),
    autocast="region",
)
