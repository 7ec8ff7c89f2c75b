from benchmarks.harness import OpBenchmark
from fastgan.testing.minibatch_stddev import MINIBATCH_STDDEV


class TestMinibatchStddev(OpBenchmark):
    spec = MINIBATCH_STDDEV
