"""The names that `fastgan.nn` exports."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from fastgan import layers, nn, ops


@pytest.mark.parametrize("name", nn.__all__)
def test_a_name_hides_no_module_and_is_no_function_of_ops(name):
    assert importlib.util.find_spec(f"fastgan.nn.{name}") is None
    assert name not in ops.__all__


def test_layers_are_the_names_of_nn():
    assert layers.__all__ == nn.__all__
    assert all(getattr(layers, name) is getattr(nn, name) for name in nn.__all__)


def test_layers_are_imported_only_where_they_are_asked_for():
    code = (
        "import sys, fastgan; assert 'torch' not in sys.modules; "
        "from fastgan import layers; assert fastgan.layers is layers and layers.Conv2d"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
