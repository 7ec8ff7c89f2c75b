"""conv2d against F.conv2d in both layouts, its speed over sizes, and Winograd's crossover."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.harness import OpBenchmark, Run, compare, extra_info, repeat_in, shortened
from benchmarks.measures import MEASURES, Call, Tensors
from benchmarks.sides import Side, torch_conv2d
from fastgan import ops
from fastgan.ops._library import ops_of
from tests.specs import BenchmarkCase
from tests.specs.conv2d import CONV2D


def convolution(id: str, batch: int, channels: int, side: int) -> BenchmarkCase:
    """Return a 3×3 convolution to as many channels, padded by 1, without bias, in channels_last."""

    def tensors(dtype: torch.dtype, device: torch.device) -> Sequence[Tensor | None]:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(batch, channels, side, side, generator=generator)
        weight = torch.randn(channels, channels, 3, 3, generator=generator) / (3 * channels**0.5)
        return [
            t.to(device, dtype).contiguous(memory_format=torch.channels_last) for t in (x, weight)
        ]

    once = 2.0 * 9 * batch * channels**2 * side**2
    return BenchmarkCase(
        id,
        tensors,
        {"padding": 1},
        # The second derivative has two convolutions in the incoming gradient, and one each in image
        # and weights.
        products={"forward": once, "forward_backward": 3 * once, "double_backward": 4 * once},
    )


CASES = [
    convolution("3x3-256", 8, 256, 32),
    convolution("3x3-128", 8, 128, 64),
    convolution("3x3-512", 4, 512, 16),
]
GROWING = [
    *(convolution("channels", 8, channels, 32) for channels in (16, 32, 64, 128, 256, 512)),
    *(convolution("pixels", 8 if side < 128 else 2, 128, side) for side in (4, 8, 16, 32, 64, 128)),
    *(convolution("batch", batch, 256, 16) for batch in (1, 2, 4, 8, 16)),
]
AROUND_THE_CROSSOVER = [  # 4, 8, 16, … 512 tiles of 4×4
    convolution(f"{channels}-{batch}x{side}", batch, channels, side)
    for channels in (16, 32, 64, 128, 256, 512)
    for side in (8, 16, 32, 64)
    for batch in (1, 2)
]


def _winograd(x: Tensor, weight: Tensor, *, padding: int) -> Tensor:
    return ops_of("cpu").winograd_conv2d(x, weight, None, padding, padding, False)


def _prepare_winograd(measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
    return MEASURES[measure](_winograd, tensors, options)


WINOGRAD = Side("winograd", _prepare_winograd)  # regardless of the library's choice
CHANNELS_LAST = torch_conv2d("F.conv2d", torch.channels_last, checked=True)
CONTIGUOUS = torch_conv2d("F.conv2d contiguous", torch.contiguous_format, checked=True)


def skip_without_winograd(run: Run) -> None:
    if run.device.type != "cpu" or run.dtype != torch.float32 or not ops.backends()["cpu"].usable:
        pytest.skip("Winograd's algorithm runs in native code on the CPU, in float32")


class TestConv2d(OpBenchmark):
    spec = dataclasses.replace(CONV2D, benchmarks=CASES, scaling=GROWING)
    eager = CHANNELS_LAST.name  # the reference without an epilogue
    others = (CONTIGUOUS,)

    def scaling_sides(self, run: Run) -> list[Side]:
        skip_without_winograd(run)
        return [WINOGRAD, CHANNELS_LAST, CONTIGUOUS]

    @pytest.mark.parametrize("size", AROUND_THE_CROSSOVER, ids=lambda case: case.id)
    def test_crossover(self, benchmark: Any, size: BenchmarkCase, run: Run) -> None:
        """Time both algorithms around the crossover, for fastgan/ops/conv2d/choice.py."""
        skip_without_winograd(run)
        sides = [WINOGRAD, CHANNELS_LAST]
        comparison = compare(
            self.spec, size, "forward", sides, shortened(run, 16), repeat_in(benchmark)
        )
        benchmark.extra_info.update(extra_info(comparison))
        run.results.crossover.append(comparison)
