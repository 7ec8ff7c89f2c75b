from benchmarks.harness import OpBenchmark
from tests.specs.scale_bias_act import SCALE_BIAS_ACT


class TestScaleBiasAct(OpBenchmark):
    spec = SCALE_BIAS_ACT
