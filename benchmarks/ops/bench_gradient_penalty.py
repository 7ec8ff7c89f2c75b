from benchmarks.harness import OpBenchmark
from fastgan.testing.gradient_penalty import GRAD_NORM_PENALTY, INTERPOLATE


class TestInterpolate(OpBenchmark):
    spec = INTERPOLATE


class TestGradNormPenalty(OpBenchmark):
    spec = GRAD_NORM_PENALTY
