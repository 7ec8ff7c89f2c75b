from benchmarks.harness import OpBenchmark
from tests.specs.upfirdn2d import UPFIRDN2D


class TestUpfirdn2d(OpBenchmark):
    spec = UPFIRDN2D
