from benchmarks.harness import OpBenchmark
from tests.specs.bias_act import BIAS_ACT


class TestBiasAct(OpBenchmark):
    spec = BIAS_ACT
