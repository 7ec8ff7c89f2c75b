from benchmarks.harness import OpBenchmark
from fastgan.testing.upfirdn2d import UPFIRDN2D


class TestUpfirdn2d(OpBenchmark):
    spec = UPFIRDN2D
