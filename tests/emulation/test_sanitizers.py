"""Programs of the ops' kernels under sanitizers: races, and stages of the CPU's convolutions."""

from pathlib import Path

import pytest

from .build import ROOT, build_emulation
from .sanitizers import run, tsan_command

pytestmark = pytest.mark.backends

CPU = Path("/proc/cpuinfo")
HAS_AMX = CPU.exists() and "amx_bf16" in CPU.read_text()
NO_AMX = 77
"""Exit status where the system refuses the registers, or the CPU has no avx512_bf16."""


def test_race_checks_pass_under_thread_sanitizer() -> None:
    command = tsan_command(build_emulation("thread", "race_check"))
    with_checks = sorted(ROOT.glob("csrc/*/race_check.cpp"))
    kernels = sorted(ROOT.glob("csrc/*/kernel.cuh"))
    assert [path.parent for path in with_checks] == [path.parent for path in kernels], (
        "a kernel without race checks"
    )
    names = run([*command, "--list"]).stdout.split()
    assert len(names) >= len(with_checks)
    done = run(command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert f"{len(names)} race checks in 2 orders, 0 failed" in done.stdout


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_cpu_convolutions_pass_under_sanitizers(sanitizer: str) -> None:
    """Check stages that share buffers between threads against explicit sums."""
    program = build_emulation(sanitizer, "winograd_check")
    command = tsan_command(program) if sanitizer == "thread" else [str(program)]
    done = run(command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert done.stdout == "all stages are right\n"


@pytest.mark.skipif(not HAS_AMX, reason="needs Linux and a CPU with amx_tile and amx_bf16")
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_kernels_on_amx_pass_under_sanitizers(sanitizer: str) -> None:
    """Check convolutions and gradients of weights on several threads against explicit sums."""
    program = build_emulation(sanitizer, "amx_check")
    command = tsan_command(program) if sanitizer == "thread" else [str(program)]
    done = run(command)
    if done.returncode == NO_AMX:
        pytest.skip("the system refuses AMX to this process")
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert done.stdout == "all kernels are right\n"
