from benchmarks.harness import OpBenchmark
from tests.specs.minibatch_stddev import MINIBATCH_STDDEV


class TestMinibatchStddev(OpBenchmark):
    spec = MINIBATCH_STDDEV
