"""GPU architectures of a build, on machines with other GPUs than this one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("architectures.cmake")
EVERY = "75-real;80-real;86-real;89-real;90-real;100-real;120-real;120-virtual"


@pytest.fixture
def chosen(tmp_path):
    """Return a function of FASTGAN_CUDA, TORCH_CUDA_ARCH_LIST and the output of nvidia-smi.

    It returns (architectures, problem).
    """
    beside = Path(sys.executable).with_name("cmake")
    cmake = str(beside) if beside.exists() else shutil.which("cmake")
    if cmake is None:
        pytest.skip("needs cmake")

    def choose(cuda, wanted="", gpus=None):
        smi = tmp_path / "nvidia-smi"
        smi.write_text("#!/bin/sh\nexit 9\n" if gpus is None else f"#!/bin/sh\nprintf '{gpus}'\n")
        smi.chmod(0o755)
        command = [cmake, f"-DFASTGAN_CUDA={cuda}", f"-DNVIDIA_SMI={smi}", "-P", str(SCRIPT)]
        environment = os.environ | {"TORCH_CUDA_ARCH_LIST": wanted}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        said = re.search(r"found '(.*)' problem '(.*)'", done.stdout)
        return said.groups() if said else ("", done.stderr)

    return choose


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        (r"9.0\n", "90-real"),
        (r"8.9\n8.6\n8.9\n", "89-real;86-real"),
        (r"12.1\n", "120-virtual"),
        (r"7.0\n8.0\n", "80-real"),
    ],
    ids=["one", "several", "newer than nvcc", "one too old"],
)
def test_automatic_is_for_the_gpus_here(chosen, gpus, expected):
    assert chosen("auto", gpus=gpus) == (expected, "")


def test_a_gpu_that_is_too_old_for_nvcc_is_a_reason(chosen):
    found, problem = chosen("auto", gpus=r"7.0\n")
    assert found == "" and problem == "this nvcc builds nothing for a GPU of compute capability 7.0"


@pytest.mark.parametrize("gpus", [None, "", r"No devices were found\n"])
def test_automatic_is_for_the_cpu_where_there_is_no_gpu(chosen, gpus):
    found, problem = chosen("auto", gpus=gpus)
    assert found == ""
    assert problem.startswith(
        "this machine has no GPU (FASTGAN_CUDA=on or TORCH_CUDA_ARCH_LIST=9.0"
    )


def test_on_is_for_every_generation(chosen):
    assert chosen("on") == (EVERY, "")
    assert chosen("on", gpus=r"9.0\n") == (EVERY, "")


@pytest.mark.parametrize("cuda", ["auto", "on"])
def test_a_list_is_taken_as_it_is(chosen, cuda):
    assert chosen(cuda, "8.0;9.0a, 10.0+PTX") == ("80-real;90a-real;100", "")


def test_a_list_of_something_else_is_an_error(chosen):
    _, error = chosen("auto", "Hopper")
    assert "must hold numbers such as 9.0 or 10.0+PTX, got 'Hopper'" in " ".join(error.split())
