"""conv2d in groups against F.conv2d, whose second derivative convolves each group separately."""

from __future__ import annotations

from benchmarks.harness import OpBenchmark
from tests.specs.grouped_conv2d import GROUPED_CONV2D


class TestGroupedConv2d(OpBenchmark):
    spec = GROUPED_CONV2D
    eager = "F.conv2d"  # the reference without an epilogue
