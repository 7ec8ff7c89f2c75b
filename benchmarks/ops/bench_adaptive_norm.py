from benchmarks.harness import OpBenchmark
from tests.specs.adaptive_norm import ADAPTIVE_NORM


class TestAdaptiveNorm(OpBenchmark):
    spec = ADAPTIVE_NORM
