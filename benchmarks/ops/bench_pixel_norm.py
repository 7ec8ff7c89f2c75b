from benchmarks.harness import OpBenchmark
from fastgan.testing.pixel_norm import PIXEL_NORM


class TestPixelNorm(OpBenchmark):
    spec = PIXEL_NORM
