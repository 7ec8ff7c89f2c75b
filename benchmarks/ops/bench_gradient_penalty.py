from benchmarks.harness import OpBenchmark
from tests.specs.gradient_penalty import GRAD_NORM_PENALTY, LERP_SAMPLES


class TestInterpolate(OpBenchmark):
    spec = LERP_SAMPLES


class TestGradNormPenalty(OpBenchmark):
    spec = GRAD_NORM_PENALTY
