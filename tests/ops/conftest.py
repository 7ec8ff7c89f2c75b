"""Which backends an op is tested on: those that run here, the CUDA kernels in emulation, Triton in its interpreter."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from fastgan import ops
from fastgan.ops import _library
from tests.emulation.build import build_emulation

INTERPRETING = _library.triton_interpreter()
BACKENDS = ["triton"] if INTERPRETING else ["reference", "cpu", "emulated"]
if INTERPRETING:
    from tests.ops import triton_interpreter

    triton_interpreter.apply()
GPU_BACKENDS = ["cuda", "triton"] if torch.cuda.is_available() and not INTERPRETING else []


def pytest_report_header() -> str:
    return f"fastgan CPU code: {torch.ops.fastgan_runtime.cpu_capability()}"


def parameters(module: ModuleType) -> list:
    """The backends of a test file; one that says ``COMPOSITE = True`` is of an op that has no kernels to emulate."""
    here = [name for name in BACKENDS if name != "emulated" or not getattr(module, "COMPOSITE", False)]
    return here + [pytest.param(name, id=f"{name}-gpu", marks=pytest.mark.gpu) for name in GPU_BACKENDS]


def load_emulated() -> None:
    """Register the emulated CUDA kernels; the library is built on first use, or named by FASTGAN_EMULATED_LIBRARY."""
    given = os.environ.get("FASTGAN_EMULATED_LIBRARY")
    library = Path(given) if given else build_emulation("none") / "_ops_emulated.so"
    _library.add_backend("emulated", "fastgan_emulated", ("cpu",), library)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "emulated":
        load_emulated()
    status = ops.backends()[name]
    assert status.usable, f"{name}: {status.reason}; {status.remedy}"
    return name


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    marks = {mark.name for mark in request.node.iter_markers()}
    return torch.device("cuda" if "gpu" in marks else "cpu")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For many small images: waiting for each other would cost the threads more than the work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    spec = getattr(metafunc.cls, "spec", None)
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", parameters(metafunc.module), indirect=True)
    if spec is None:
        return
    # In the interpreter every sample has its values tested, and every third the rest.
    some = 3 if INTERPRETING else 1
    named = {
        "sample": spec.samples if metafunc.function.__name__ == "test_values" else spec.samples[::some],
        "small_sample": [s for s in spec.samples if s.small][::some],
        "registered_call": spec.registered,
        "error_case": spec.errors,
    }
    for name, values in named.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=lambda value: value.id)
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", list(spec.tolerance), ids=lambda d: str(d).removeprefix("torch."))
