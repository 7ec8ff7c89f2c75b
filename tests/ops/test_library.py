"""Choice of a backend, and errors if one can't run."""

from __future__ import annotations

import logging
import mmap
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

import fastgan
import fastgan.nn
from fastgan import ops
from fastgan.ops import _library
from tests.specs import poisoned_memory

pytestmark = pytest.mark.skipif(_library.triton_interpreter(), reason="not about Triton")
PACKAGE = Path(fastgan.__file__).parent
x, b = torch.randn(2, 3, 4), torch.randn(3)


@pytest.fixture
def used(monkeypatch) -> list[str]:
    """Return the list of backends that run calls inside the test."""
    seen: list[str] = []
    choose = _library.choose_backend

    def spy(*args):
        seen.append(choose(*args))
        return seen[-1]

    monkeypatch.setattr(sys.modules["fastgan.ops.bias_act"], "choose_backend", spy)
    return seen


def test_argument_then_context_then_automatic(used):
    ops.bias_act(x, b)
    with ops.use_backend("reference"):
        ops.bias_act(x, b)
        ops.bias_act(x, b, backend="cpu")
        with ops.use_backend(None):
            ops.bias_act(x, b)
    ops.bias_act(x, b)
    assert used == ["cpu", "reference", "cpu", "cpu", "cpu"]


def test_context_is_left_when_its_block_raises():
    with pytest.raises(RuntimeError), ops.use_backend("reference"):
        raise RuntimeError
    assert _library._requested.get() is None


def test_context_holds_in_its_thread_alone(used):
    import threading

    with ops.use_backend("reference"):
        thread = threading.Thread(target=ops.bias_act, args=(x, b))
        thread.start()
        thread.join()
    assert used == ["cpu"]


def test_compiled_code_follows_use_backend_where_dynamo_reads_no_context_variables(monkeypatch):
    monkeypatch.setattr(_library, "_DYNAMO_READS_CONTEXT", False)
    torch._dynamo.reset()

    @partial(torch.compile, fullgraph=True, backend="eager")
    def compiled(x: torch.Tensor) -> torch.Tensor:
        return x + (_library.choose_backend("bias_act", x.device, None) == "reference")

    zero = torch.zeros(())
    with ops.use_backend("reference"):
        assert compiled(zero) == 1
    assert compiled(zero) == 0


def test_environment_variable():
    code = (
        "import torch; from fastgan.ops import _library as l; "
        "cpu = torch.device('cpu'); "
        "print(l.choose_backend('bias_act', cpu, None), l.choose_backend('o', cpu, 'cpu'))"
    )
    env = {**os.environ, "FASTGAN_BACKEND": "reference"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout
    assert out.split() == ["reference", "cpu"]


def test_unknown_name_is_refused_at_once():
    with (
        pytest.raises(ValueError, match=r"one of .*reference.*, got 'cudda'"),
        ops.use_backend("cudda"),
    ):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "triton"])
def test_named_and_not_usable_says_why_and_what_to_do(name):
    with pytest.raises(
        ops.BackendUnavailable, match=rf"backend '{name}' cannot run here: .+; .+"
    ) as caught:
        ops.bias_act(x, b, backend=name)
    assert isinstance(caught.value, fastgan.errors.FastganError)


def test_automatic_falls_back_and_says_so_once(monkeypatch, caplog):
    monkeypatch.setitem(_library._native_problem, "cpu", ("it is broken", "mend it"))
    monkeypatch.setattr(_library, "_told", set())
    with caplog.at_level(logging.WARNING, "fastgan"):
        for _ in range(3):
            ops.bias_act(x, b)
    (message,) = [r.getMessage() for r in caplog.records]
    assert message == "bias_act on cpu falls back from backend 'cpu': it is broken; mend it"


def test_status_of_every_backend():
    status = ops.backends()
    assert {"cuda", "triton", "cpu", "reference"} <= set(status)
    assert status["reference"].usable and status["cpu"].usable and status["cpu"].devices == ("cpu",)
    assert all(s.usable or (s.reason and s.remedy) for s in status.values())


def test_without_native_libraries_everything_runs_in_plain_pytorch(tmp_path):
    """The package without native libraries has the same results and ops, and gives reasons."""
    shutil.copytree(
        PACKAGE, tmp_path / "fastgan", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    code = """
import torch, fastgan
from fastgan import nn, ops, runtime
status = ops.backends()["cpu"]
assert not status.usable and "_ops.abi3.so" in status.reason, status
assert "pip install" in status.remedy, status
x = torch.randn(2, 3, 4, requires_grad=True)
y = nn.BiasAct(3, act="lrelu")(x)
assert torch.equal(y, ops.bias_act(x, torch.zeros(3), act="lrelu", backend="reference"))
z = torch.ops.fastgan.bias_act(x, None, 1, "lrelu", 0.2, 2.0**0.5, None)
assert torch.allclose(torch.autograd.grad(z.sum(), x)[0], torch.autograd.grad(y.sum(), x)[0])
assert runtime.tune_cpu_allocator() is False
print(fastgan.__file__)
"""
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))


def test_a_library_that_does_not_load_is_a_reason_not_a_crash(tmp_path):
    shutil.copytree(
        PACKAGE, tmp_path / "fastgan", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    (tmp_path / "fastgan" / "_ops.abi3.so").write_bytes(b"not a library")
    code = "from fastgan import ops; s = ops.backends()['cpu']; print(s.usable, s.reason)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.startswith("False _ops.abi3.so does not load"), done.stderr


def test_other_devices_run_the_reference():
    y = ops.bias_act(torch.empty(2, 3, device="meta"), torch.empty(3, device="meta"))
    assert y.device.type == "meta" and y.shape == (2, 3)


def test_exports_and_loads(tmp_path):
    """A graph with the op is exported with a dynamic batch, saved, loaded and run."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), fastgan.nn.BiasAct(4, act="swish"))
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model, (torch.randn(4, 3, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    images = torch.randn(7, 3, 8, 8)
    assert torch.allclose(loaded(images), model(images))
    assert "fastgan.bias_act" in str(program.graph)


def _free_gigabytes() -> float:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 0.0
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) / 2**20


def test_poisoned_memory_is_more_than_torch_fills():
    with poisoned_memory():
        torch.utils.deterministic.fill_uninitialized_memory = False
        assert torch.empty(1000).isnan().all()


@pytest.mark.long
def test_more_than_2_to_the_31_elements():
    if _free_gigabytes() < 6:
        pytest.skip("needs 6 GB of memory")
    columns = 2**30 + 8
    # Pages that are only read need no memory and no time.
    zeros = mmap.mmap(-1, 2 * columns * 2)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        zeros.madvise(mmap.MADV_HUGEPAGE)
    big = torch.frombuffer(zeros, dtype=torch.bfloat16).view(2, columns)
    big[1, -1], big[1, 0], big[0, 0] = 3.0, -2.0, 1.0
    y = ops.bias_act(big, dim=0, act="lrelu", alpha=0.5, gain=2.0, backend="cpu")
    assert (y[1, -1], y[1, 0], y[0, 0], y[1, 17]) == (6.0, -2.0, 2.0, 0.0)
    assert int(y.view(torch.int64).count_nonzero()) == 3


def test_an_op_has_at_most_twelve_files_of_its_own():
    """pixel_norm is plain: CONTRIBUTING lists eleven files, and it has its coefficients too."""
    own = ("csrc/pixel_norm/*", "fastgan/ops/pixel_norm/*", "tests/*/*pixel_norm.py")
    files = [p for pattern in own for p in PACKAGE.parent.glob(pattern) if p.is_file()]
    assert 0 < len(files) <= 12
