"""Times and memory of every op, and Winograd's crossover; spectral_norm has a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import (
    OpBenchmark,
    OpBenchmarks,
    Run,
    compare,
    extra_info,
    repeat_in,
    shortened,
)
from benchmarks.measures import MEASURES, Call, Tensors
from benchmarks.sides import Side, SideUnavailable, torch_conv2d
from fastgan import ops
from fastgan.ops._library import ops_of
from tests.specs import BenchmarkCase
from tests.specs.adaptive_norm import ADAPTIVE_NORM
from tests.specs.bias_act import BIAS_ACT
from tests.specs.conv2d import CONV2D, convolution_benchmark
from tests.specs.filtered_lrelu import FILTERED_LRELU
from tests.specs.gradient_penalty import GRAD_NORM_PENALTY, LERP_SAMPLES
from tests.specs.grid_sample import GRID_SAMPLE
from tests.specs.grouped_conv2d import GROUPED_CONV2D
from tests.specs.minibatch_stddev import MINIBATCH_STDDEV
from tests.specs.modulated_conv2d import MODULATED_CONV2D
from tests.specs.pixel_norm import PIXEL_NORM
from tests.specs.scale_bias_act import SCALE_BIAS_ACT
from tests.specs.upfirdn2d import UPFIRDN2D


def _winograd(x: Tensor, weight: Tensor, *, padding: int) -> Tensor:
    return ops_of("cpu").winograd_conv2d(x, weight, None, padding, padding, False)


def _prepare_winograd(measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
    return MEASURES[measure](_winograd, tensors, options)


def _prepare_grid_sample(measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
    call = MEASURES[measure](F.grid_sample, tensors, {"align_corners": False, **options})
    try:
        call()
    # Torch lacks half types on the CPU, and second derivatives before 2.12 or so.
    except RuntimeError as error:
        raise SideUnavailable(f"F.grid_sample: {str(error).strip().splitlines()[0]}") from error
    return call


def _separate_ops(
    x: Tensor,
    b: Tensor,
    *,
    fu: Tensor,
    fd: Tensor,
    up: int,
    down: int,
    padding: tuple[int, int, int, int],
    clamp: float,
) -> Tensor:
    fu, fd = fu.to(x.device), fd.to(x.device)
    x = ops.upfirdn2d(ops.bias_act(x, b), fu, up=up, padding=padding, gain=up * up)
    return ops.upfirdn2d(ops.bias_act(x, act="lrelu", clamp=clamp), fd, down=down)


def _prepare_separate_ops(measure: str, tensors: Tensors, options: Mapping[str, Any]) -> Call:
    return MEASURES[measure](_separate_ops, tensors, options)


WINOGRAD = Side("winograd", _prepare_winograd)  # regardless of the library's choice
CHANNELS_LAST = torch_conv2d("F.conv2d", torch.channels_last, checked=True)
CONTIGUOUS = torch_conv2d("F.conv2d contiguous", torch.contiguous_format, checked=True)
YARDSTICKS = (
    torch_conv2d("F.conv2d", torch.channels_last, checked=False),
    torch_conv2d("F.conv2d contiguous", torch.contiguous_format, checked=False),
)
AROUND_THE_CROSSOVER = [  # 4, 8, 16, … 512 tiles of 4×4
    convolution_benchmark(f"{channels}-{batch}x{side}", batch, channels, side)
    for channels in (16, 32, 64, 128, 256, 512)
    for side in (8, 16, 32, 64)
    for batch in (1, 2)
]


def skip_without_winograd(run: Run) -> None:
    if run.device.type != "cpu" or run.dtype != torch.float32 or not ops.backends()["cpu"].usable:
        pytest.skip("Winograd's algorithm runs in native code on the CPU, in float32")


def both_algorithms(run: Run) -> list[Side]:
    skip_without_winograd(run)
    return [WINOGRAD, CHANNELS_LAST, CONTIGUOUS]


class TestOps(OpBenchmarks):
    ops = (
        OpBenchmark(ADAPTIVE_NORM),
        OpBenchmark(BIAS_ACT),
        # The reference without an epilogue is torch's convolution.
        OpBenchmark(
            CONV2D, eager=CHANNELS_LAST.name, others=(CONTIGUOUS,), scaling_sides=both_algorithms
        ),
        # Torch's second derivative convolves each group separately.
        OpBenchmark(GROUPED_CONV2D, eager="F.conv2d"),
        # The fastest that can be composed of our other ops.
        OpBenchmark(FILTERED_LRELU, others=(Side("separate ops", _prepare_separate_ops),)),
        OpBenchmark(LERP_SAMPLES),
        OpBenchmark(GRAD_NORM_PENALTY),
        # The reference gathers pixels; torch has its own kernels.
        OpBenchmark(GRID_SAMPLE, eager="gather", others=(Side("torch", _prepare_grid_sample),)),
        OpBenchmark(MINIBATCH_STDDEV),
        # The convolution of the same image and weights is a yardstick that does less.
        OpBenchmark(MODULATED_CONV2D, others=YARDSTICKS),
        OpBenchmark(PIXEL_NORM),
        OpBenchmark(SCALE_BIAS_ACT),
        OpBenchmark(UPFIRDN2D),
    )


@pytest.mark.parametrize("size", AROUND_THE_CROSSOVER, ids=lambda case: case.id)
def test_crossover_of_conv2d(benchmark: Any, size: BenchmarkCase, run: Run) -> None:
    """Time both algorithms around the crossover, for fastgan/ops/conv2d/choice.py."""
    skip_without_winograd(run)
    sides = [WINOGRAD, CHANNELS_LAST]
    comparison = compare(CONV2D, size, "forward", sides, shortened(run, 16), repeat_in(benchmark))
    benchmark.extra_info.update(extra_info(comparison))
    run.results.crossover.append(comparison)
