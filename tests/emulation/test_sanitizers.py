"""The ops' kernels under the sanitizers: all that runs emulated under ASan and UBSan, the race checks under TSan."""

import re
import sys

import pytest

from tests.ops.files import ON_EVERY_BACKEND

from .build import ROOT, build_emulation
from .sanitizers import asan_environment, run, tsan_command

EMULATED = [*ON_EVERY_BACKEND, ROOT / "tests" / "emulation" / "test_library.py"]


@pytest.mark.slow
def test_emulated_kernels_pass_under_address_and_undefined_behaviour_sanitizers() -> None:
    """Their values and the emulator's own tests, which `make test` runs here alone. One session for all: starting one takes
    as long as the tests of five ops."""
    library = build_emulation("address", "_ops_emulated.so")
    options = ("-v", "-p", "no:cacheprovider", "--rootdir", str(ROOT))
    done = run(
        [sys.executable, "-m", "pytest", *map(str, EMULATED), "-m", "emulated and not long", *options],
        timeout=550,
        FASTGAN_EMULATED_LIBRARY=str(library),
        **asan_environment(),
    )
    output = (done.stdout + done.stderr)[-8000:]
    assert done.returncode == 0, output
    for file in EMULATED:
        assert re.search(rf"{file.name}::.* PASSED", done.stdout), f"{file.name}: {output}"


@pytest.mark.slow
def test_race_checks_pass_under_thread_sanitizer() -> None:
    command = tsan_command(build_emulation("thread", "race_check"))
    with_checks = sorted(ROOT.glob("csrc/*/race_check.cpp"))
    kernels = sorted(ROOT.glob("csrc/*/kernel.cu"))
    assert [path.parent for path in with_checks] == [path.parent for path in kernels], (
        "a kernel without race checks"
    )
    names = run([*command, "--list"]).stdout.split()
    assert len(names) >= len(with_checks)
    done = run(command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert f"{len(names)} race checks in 2 orders, 0 failed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_cpu_convolutions_pass_under_sanitizers(sanitizer: str) -> None:
    """Every stage of the convolutions that share buffers between threads, against sums written out."""
    program = build_emulation(sanitizer, "winograd_check")
    command = tsan_command(program) if sanitizer == "thread" else [str(program)]
    done = run(command)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert done.stdout == "all stages are right\n"
