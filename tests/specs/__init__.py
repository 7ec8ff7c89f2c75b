"""Descriptions of the ops, an :class:`OpSpec` each, for tests and benchmarks."""

from tests.specs.evaluate import evaluate, first_mismatch, poisoned_memory
from tests.specs.spec import (
    BenchmarkCase,
    ErrorCase,
    OpSpec,
    Penalty,
    RegisteredCall,
    Sample,
    Saved,
)

__all__ = [
    "BenchmarkCase",
    "ErrorCase",
    "OpSpec",
    "Penalty",
    "RegisteredCall",
    "Sample",
    "Saved",
    "evaluate",
    "first_mismatch",
    "poisoned_memory",
]
