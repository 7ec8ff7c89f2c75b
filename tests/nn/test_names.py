"""The names that `fastgan.nn` exports."""

from __future__ import annotations

import importlib.util

import pytest

from fastgan import nn, ops


@pytest.mark.parametrize("name", nn.__all__)
def test_a_name_hides_no_module_and_is_no_function_of_ops(name):
    assert importlib.util.find_spec(f"fastgan.nn.{name}") is None
    assert name not in ops.__all__
