"""The CPU kernels compiled for less than this CPU has; all other tests run the best."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch

from tests.ops.files import ON_EVERY_BACKEND

LEVELS = ["baseline", "avx2", "avx512"]


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS[:-1])
def test_values_on_a_lower_instruction_set(level):
    """One session for all ops: starting one takes as long as the tests of an op."""
    best = torch.ops.fastgan_runtime.cpu_capability()
    if os.environ.get("FASTGAN_CPU_LEVEL") or LEVELS.index(level) >= LEVELS.index(best):
        pytest.skip(f"the other tests run {best}")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *map(str, ON_EVERY_BACKEND), "-v", "-p", "no:cacheprovider"),
            *("-k", "cpu and (values or halves or half)"),
        ],
        env={**os.environ, "FASTGAN_CPU_LEVEL": level}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:]
    assert f"fastgan CPU code: {level}\n" in run.stdout
    for file in ON_EVERY_BACKEND:
        assert len(re.findall(rf"{file.name}::.*test_values\[cpu.* PASSED", run.stdout)) > 10, file.name
