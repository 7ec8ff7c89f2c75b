from benchmarks.harness import OpBenchmark
from tests.specs.pixel_norm import PIXEL_NORM


class TestPixelNorm(OpBenchmark):
    spec = PIXEL_NORM
