"""Backends of the ops' tests: those that run here, emulated CUDA kernels, interpreted Triton."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from fastgan import ops
from fastgan.ops import _library
from tests.emulation.control import load_emulated
from tests.specs import OpSpec

INTERPRETING = _library.triton_interpreter()
EMULATED = pytest.param("emulated", id="emulated", marks=pytest.mark.emulated)
BACKENDS = ["triton"] if INTERPRETING else ["reference", "cpu", EMULATED]
#: Tests of torch's handling of an op, which is the same code for any kernels. Emulated or
#: interpreted kernels would launch as in test_values.
OF_ANY_KERNELS = (
    "test_gradcheck",
    "test_compile",
    "test_compiled_gradient_of_a_gradient",
    "test_autocast",
    "test_opcheck_traces_the_derivative",
    "test_transforms_are_right",
    "test_no_graph_break_when_choosing_a_backend",
    "test_a_penalty_through_the_weights_compiles",
)
#: Tests of registered ops, or against plain PyTorch.
NOT_OF_REFERENCE = (
    "test_each_first_gradient_alone_can_be_derived_again",
    "test_saves_as_little_as_the_maths_needs",
    "test_a_penalty_asks_for_nothing_that_it_drops",
    "test_a_part_of_a_derivative_has_the_bits_of_the_whole",
    "test_opcheck",
    "test_opcheck_traces_the_derivative",
    "test_eager_calls_have_the_bits_of_the_registered_op",
)
#: Tests that compile. Plain PyTorch has them in the tier ``long``.
COMPILING = (
    "test_compiled_gradient_of_a_gradient",
    "test_no_graph_break_when_choosing_a_backend",
    "test_a_penalty_through_the_weights_compiles",
)
if INTERPRETING:
    from tests.ops import triton_interpreter

    triton_interpreter.apply()
# By default, cuDNN rounds float32 to TF32 on a GPU and adds up in any order. torch.export reads
# this flag; it raises if only conv's is set.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.deterministic = True
GPU_BACKENDS = ["cuda", "triton"] if torch.cuda.is_available() and not INTERPRETING else []


def pytest_report_header() -> str:
    return f"fastgan CPU code: {torch.ops.fastgan_runtime.cpu_capability()}"


def parameters(module: ModuleType, test: str) -> list:
    """Return the backends of a test. A file with ``COMPOSITE = True`` has no kernels to emulate."""
    here = list(BACKENDS)
    if EMULATED in here and (test in OF_ANY_KERNELS or getattr(module, "COMPOSITE", False)):
        here.remove(EMULATED)
    elif INTERPRETING and test in OF_ANY_KERNELS:
        here = []
    if test in NOT_OF_REFERENCE and "reference" in here:
        here.remove("reference")
    if test in COMPILING:
        here = [
            pytest.param(name, marks=pytest.mark.long) if name == "reference" else name
            for name in here
        ]
    return here + [
        pytest.param(name, id=f"{name}-gpu", marks=pytest.mark.gpu) for name in GPU_BACKENDS
    ]


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
    """Use one thread, since threads of many small images would wait longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def dtypes_of(spec: OpSpec, index: int, backend: str) -> list[torch.dtype]:
    """Return the dtypes for tests of a sample.

    Compiled backends have all. Emulation, plain PyTorch and a lower instruction set are slow or
    repeat earlier results; they have two of different widths, in turn. The interpreter has one, in
    turn.
    """
    sample, all_of_them = spec.samples[index], list(spec.tolerance)
    in_turn = sorted(all_of_them, key=lambda dtype: -dtype.itemsize)  # float64, float32, the halves
    slow = backend in ("reference", "emulated") or INTERPRETING or "FASTGAN_CPU_LEVEL" in os.environ
    # A large image takes a path of its own: single precision, and for the first one two widths.
    if sample.large:
        first = not any(s.large for s in spec.samples[:index])
        return [] if slow else [torch.float32, *([torch.bfloat16] if first else [])]
    if INTERPRETING:
        return [in_turn[index % len(in_turn)]]
    return [in_turn[index % 2], in_turn[2 + index // 2 % 2]] if slow else all_of_them


def values_cases(module: ModuleType, spec: OpSpec) -> list:
    """Return backend, sample and dtype of each test of values, ordered by sample."""
    found = []
    for parameter in parameters(module, "test_values"):
        name, id, marks = (
            (parameter, parameter, ()) if isinstance(parameter, str)
            else (parameter.values[0], parameter.id, parameter.marks)
        )  # fmt: skip
        for index, sample in enumerate(spec.samples):
            for dtype in dtypes_of(spec, index, name):
                case = f"{id}-{sample.id}-{str(dtype).removeprefix('torch.')}"
                found.append(pytest.param(name, sample, dtype, id=case, marks=marks))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    spec = getattr(metafunc.cls, "spec", None)
    if spec is not None and {"backend", "sample", "dtype"} <= set(metafunc.fixturenames):
        cases = values_cases(metafunc.module, spec)
        metafunc.parametrize("backend,sample,dtype", cases, indirect=["backend"])
        return
    if "backend" in metafunc.fixturenames:
        here = parameters(metafunc.module, metafunc.function.__name__)
        metafunc.parametrize("backend", here, indirect=True)
    if spec is None:
        return
    # The interpreter tests the values of every sample, and the rest for every sixth.
    some = 6 if INTERPRETING else 1
    small = [s for s in spec.samples if s.small]
    named = {
        "sample": [s for s in spec.samples if not s.large][::some],
        "small_sample": small[:: -(-len(small) // 2)] if INTERPRETING else small,
        "registered_call": spec.registered,
        "error_case": spec.errors,
        "threaded_sample": spec.threaded,
        "saved": spec.saved,
        "penalty": spec.penalties,
    }
    for name, values in named.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=lambda value: value.id)
