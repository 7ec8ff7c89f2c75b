"""What tests and benchmarks know of each op: one :class:`OpSpec`, from which both draw their inputs."""

from tests.specs.evaluate import evaluate, first_mismatch, poisoned_memory
from tests.specs.spec import BenchmarkCase, ErrorCase, OpSpec, RegisteredCall, Sample

__all__ = [
    "BenchmarkCase",
    "ErrorCase",
    "OpSpec",
    "RegisteredCall",
    "Sample",
    "evaluate",
    "first_mismatch",
    "poisoned_memory",
]
