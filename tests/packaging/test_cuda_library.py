"""The CUDA library as built: it loads where there is no GPU, and its kernels are registered."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from fastgan.ops import _library

pytestmark = pytest.mark.skipif(
    shutil.which("nvcc") is None or torch.version.cuda is None, reason="no nvcc, or a torch without CUDA"
)


def test_it_loads_and_registers_every_kernel():
    assert _library._native_problem["cuda"] is None, _library._native_problem["cuda"]
    for definition in _library._definitions:
        name = f"fastgan::{definition.name}"
        has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA")
        # on a GPU convolutions and products are cuDNN's and cuBLAS's
        assert has_kernel == (
            not definition.name.startswith(("winograd_", "grouped_conv2d", "product_per_sample"))
        ), name


def test_it_holds_the_architectures_asked_for():
    from fastgan import _info

    assert _info.has_cuda
    asked = os.environ.get("TORCH_CUDA_ARCH_LIST", "").replace("+PTX", "").replace(".", "").split()
    built = _info.cuda_architectures.replace("-real", "").split()
    assert set(asked) <= set(built)
