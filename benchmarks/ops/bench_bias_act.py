from benchmarks.harness import OpBenchmark
from fastgan.testing.bias_act import BIAS_ACT


class TestBiasAct(OpBenchmark):
    spec = BIAS_ACT
