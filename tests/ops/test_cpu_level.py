"""FASTGAN_CPU_LEVEL lowers the CPU code; a level that can't run gives a warning."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest
import torch

from fastgan import ops
from fastgan.ops._library import CPU_LEVELS, check_cpu_level

pytestmark = pytest.mark.skipif(not ops.backends()["cpu"].usable, reason="about the native library")
CODE = "import fastgan.ops, torch; print(torch.ops.fastgan_runtime.cpu_capability())"


def imported(level: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"FASTGAN_CPU_LEVEL": level}
    return subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("level", CPU_LEVELS)
def test_a_level_that_runs_is_no_news(level):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_cpu_level(level, level)


@pytest.mark.parametrize("asked", ["avx", "AVX2", "avx2 ", "sse4", "512", "fastest"])
def test_an_unknown_level_is_named_with_the_known_ones(asked):
    said = (
        f"FASTGAN_CPU_LEVEL must be one of baseline, avx2, avx512, got {asked!r}: "
        "the ops run avx2 code; unset it or"
    )
    with pytest.warns(UserWarning) as caught:
        check_cpu_level(asked, "avx2")
    assert len(caught) == 1 and str(caught[0].message).startswith(said)


@pytest.mark.parametrize(
    ("asked", "runs"), [("avx512", "avx2"), ("avx512", "baseline"), ("avx2", "baseline")]
)
def test_a_level_that_the_cpu_lacks_is_said_to_be_lacking(asked, runs):
    with pytest.warns(UserWarning, match=f"must be at most {runs} on this CPU .*, got '{asked}': "):
        check_cpu_level(asked, runs)


def test_importing_the_ops_says_so_in_one_sentence():
    unknown, lowest = imported("quick"), imported("baseline")
    assert unknown.returncode == 0 and unknown.stdout.strip() in CPU_LEVELS
    assert (
        unknown.stderr.count("FASTGAN_CPU_LEVEL must be one of") == 1
        and "got 'quick'" in unknown.stderr
    )
    assert lowest.stdout.strip() == "baseline" and "FASTGAN_CPU_LEVEL" not in lowest.stderr


def test_this_process_runs_what_it_was_asked_for():
    asked = os.environ.get("FASTGAN_CPU_LEVEL")
    if asked in CPU_LEVELS:
        runs = torch.ops.fastgan_runtime.cpu_capability()
        assert CPU_LEVELS.index(runs) <= CPU_LEVELS.index(asked)
