"""The CUDA library of the build: it loads without a GPU, and its kernels are registered."""

from __future__ import annotations

import os

import pytest
import torch

from fastgan import _info
from fastgan.ops import _define, _library
from tools.gpu_session import library

pytestmark = pytest.mark.skipif(
    not _info.has_cuda and os.environ.get("FASTGAN_CUDA") != "on", reason="built for the CPU alone"
)


#: Names of ops without CUDA kernels of ours: cuDNN, cuBLAS, torch or NCCL run them.
RUN_BY_TORCH = (
    "winograd_",
    "grouped_conv2d",
    "product_per_sample",
    "attention",
    "all_reduce",
    "scale_all",
)


def test_it_loads_and_registers_every_kernel():
    assert _library._native_problem["cuda"] is None, _library._native_problem["cuda"]
    for definition in _define._definitions:
        name = f"fastgan::{definition.name}"
        has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA")
        assert has_kernel == (not definition.name.startswith(RUN_BY_TORCH)), name


def test_it_holds_the_architectures_asked_for():
    assert _info.has_cuda
    asked = os.environ.get("TORCH_CUDA_ARCH_LIST", "").replace("+PTX", "").replace(".", "").split()
    built = _info.cuda_architectures.replace("-real", "").split()
    assert set(asked) <= set(built)


def test_it_holds_the_digest_of_its_sources():
    """CMake and Python compute the same, and the library was built from these sources."""
    assert library.problem_of(library.ROOT / library.LIBRARY) == ""
