from benchmarks.harness import OpBenchmark
from fastgan.testing.adaptive_norm import ADAPTIVE_NORM


class TestAdaptiveNorm(OpBenchmark):
    spec = ADAPTIVE_NORM
