"""modulated_conv2d, and F.conv2d of the same image and weights: a yardstick that does less."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import OpBenchmark
from benchmarks.sides import torch_conv2d
from tests.specs import BenchmarkCase
from tests.specs.modulated_conv2d import FILTER, MODULATED_CONV2D


def _case(
    id: str,
    shape: tuple[int, int, int, int],
    out: int,
    kernel: int,
    *,
    moved: Mapping[str, float] | None = None,
    **options: Any,
) -> BenchmarkCase:
    """Return a layer with bias and clamp in channels_last.

    Its tensors are ``x``, ``weight``, ``styles``, ``noise`` and ``bias``. Biases of ±8 keep inputs
    of a 3×3 layer's activation away from lrelu's kink, where rounding changes the gradient.
    """
    batch, channels, height, width = shape
    up = options.get("up", 1)

    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        generator = torch.Generator().manual_seed(0)

        def normal(*size: int) -> Tensor:
            return torch.randn(size, generator=generator).to(device, dtype)

        x, weight, styles = (
            normal(*shape),
            normal(out, channels, kernel, kernel),
            1 + normal(batch, channels) / 2,
        )
        noise, bias = None, normal(out)
        if kernel > 1:
            noise = normal(batch, 1, height * up, width * up) / 8
            bias = bias / 8 + 8 * (-1.0) ** torch.arange(out, device=device)
        if not options.get("demodulate", True):
            weight = weight / (channels * kernel**2) ** 0.5
        x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
        return x, weight, styles, noise, bias.to(dtype)

    once = 2.0 * kernel**2 * channels * out * batch * height * width
    products = {"forward": once, "forward_backward": 3 * once}
    # With upsampling, plain PyTorch's second derivative takes minutes.
    if up == 1:
        # Four for any convolution, and two because the gradient of the demodulation has the result.
        products["double_backward"] = 6 * once
    settings = {"clamp": 256.0, **options}
    if moved is not None:
        return BenchmarkCase(id, tensors, settings, moved)
    return BenchmarkCase(id, tensors, settings, products=products)


_IMAGE_MOVED = {
    "forward": 1 + 3 / 256,
    "forward_backward": 3 + 9 / 256,
    "double_backward": 3 + 9 / 256,
}
CASES = [
    _case("3x3", (8, 256, 32, 32), 256, 3, act="lrelu"),
    # A transposed convolution of stride 2 multiplies every pixel by every tap, like one of stride
    # 1.
    _case("3x3-up2", (8, 256, 32, 32), 256, 3, act="lrelu", up=2, resample_filter=FILTER),
    # This is memory-bound: it reads the image forward and again for weights and styles, and writes
    # the image's gradient.
    _case("1x1-image", (8, 256, 64, 64), 3, 1, demodulate=False, moved=_IMAGE_MOVED),
]  # fmt: skip


class TestModulatedConv2d(OpBenchmark):
    spec = dataclasses.replace(MODULATED_CONV2D, benchmarks=CASES)
    others = (
        torch_conv2d("F.conv2d", torch.channels_last, checked=False),
        torch_conv2d("F.conv2d contiguous", torch.contiguous_format, checked=False),
    )
