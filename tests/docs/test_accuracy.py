"""The table of accuracy in docs/ops.md has the tolerances of the ops' tests."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import torch

from tests import specs
from tests.specs import OpSpec

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ops.md").read_text("utf-8")
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
ROWS = {
    name: dict(zip(DTYPES, map(float, cells.split(" | "))))
    for names, cells in re.findall(
        r"^\| ([\w, ]+) \| ([\d.e-]+(?: \| [\d.e-]+){3}) \|$", PAGE, re.MULTILINE
    )
    for name in names.split(", ")
}


MODULES = [
    importlib.import_module(f"tests.specs.{module.name}")
    for module in pkgutil.iter_modules(specs.__path__)
]
SPECS = {
    spec.name: spec
    for module in MODULES
    for spec in vars(module).values()
    if isinstance(spec, OpSpec)
}


def test_the_table_is_read():
    assert {"most ops", "conv2d", "modulated_conv2d", "spectral_norm"} <= set(ROWS)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_an_op_has_the_tolerance_of_its_row(name):
    row = ROWS.get(name.removeprefix("grouped_"), ROWS["most ops"])
    assert dict(SPECS[name].tolerance) == row
