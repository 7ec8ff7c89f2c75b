from benchmarks.harness import OpBenchmark
from fastgan.testing.scale_bias_act import SCALE_BIAS_ACT


class TestScaleBiasAct(OpBenchmark):
    spec = SCALE_BIAS_ACT
