"""Results cached by numbers, which compiled code computes itself."""

from __future__ import annotations

import warnings

import pytest
import torch

from fastgan.ops import _cached


def counted():
    calls = []

    @_cached.cached_in_eager
    def largest(values, least):
        calls.append(values)
        if max(values) < least:
            raise ValueError("too small")
        return max(values)

    return largest, calls


def test_a_result_is_computed_once():
    largest, calls = counted()
    assert [largest((1, 2), 0), largest((1, 2), 0), largest((1, 3), 0)] == [2, 2, 3]
    assert calls == [(1, 2), (1, 3)]


def test_an_error_is_raised_each_time():
    largest, calls = counted()
    for _ in range(2):
        with pytest.raises(ValueError, match="too small"):
            largest((1, 2), 3)
    assert len(calls) == 2


def test_arguments_without_a_hash_are_not_cached():
    largest, calls = counted()
    assert [largest([1, 2], 0), largest([1, 2], 0)] == [2, 2]
    assert len(calls) == 2


def test_compiled_code_traces_the_function_without_a_warning():
    largest, _ = counted()

    def scaled(x):
        return x * largest((x.shape[0], 2), 0)

    compiled = torch.compile(scaled, fullgraph=True, backend="eager", dynamic=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [compiled(torch.ones(n)).sum().item() for n in (3, 5)] == [9, 25]
