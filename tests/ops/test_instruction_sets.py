"""The CPU kernels compiled for less than this CPU has; all other tests run the best."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.ops.files import ON_EVERY_BACKEND

LEVELS = ["baseline", "avx2", "avx512"]
CONVOLUTION = Path(__file__).with_name("test_conv2d.py")


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS[:-1])
def test_values_on_a_lower_instruction_set(level):
    """One session for all ops: starting one takes as long as all their tests."""
    best = torch.ops.fastgan_runtime.cpu_capability()
    if os.environ.get("FASTGAN_CPU_LEVEL") or LEVELS.index(level) >= LEVELS.index(best):
        pytest.skip(f"the other tests run {best}")
    files = [*ON_EVERY_BACKEND, CONVOLUTION]
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *map(str, files), "-v", "-p", "no:cacheprovider"),
            *("-k", f"cpu and (values or halves or half) or {CONVOLUTION.name} and random_arguments"),
        ],
        env={**os.environ, "FASTGAN_CPU_LEVEL": level}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:]
    assert f"fastgan CPU code: {level}\n" in run.stdout
    assert re.search(rf"{CONVOLUTION.name}::test_random_arguments PASSED", run.stdout)
    for file in files:
        assert len(re.findall(rf"{file.name}::.*test_values\[cpu.* PASSED", run.stdout)) > 10, file.name
