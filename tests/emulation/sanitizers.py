"""Running programs under the sanitizers."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

# Address-space randomisation beyond what TSan's shadow memory allows for; it says so and stops.
_TSAN_CANNOT_MAP = "unexpected memory mapping"


def run(
    command: list[str], *, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with these environment variables besides ours; stdout and stderr as text."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env=os.environ | environment,
    )


def tsan_command(program: Path) -> list[str]:
    """How to start a program built with ThreadSanitizer here; skips the test where the system forbids it."""
    if _TSAN_CANNOT_MAP not in run([str(program), "--list"]).stderr:
        return [str(program)]
    without_randomisation = ["setarch", platform.machine(), "-R", str(program)]
    if shutil.which("setarch") and run([*without_randomisation, "--list"]).returncode == 0:
        return without_randomisation
    pytest.skip(
        "ThreadSanitizer cannot map its memory here: vm.mmap_rnd_bits is above 28, and setarch -R not allowed"
    )


def asan_environment() -> dict[str, str]:
    """What a Python needs to load a library built with AddressSanitizer."""
    libraries = [
        run(["g++", f"-print-file-name={name}"]).stdout.strip()
        for name in (
            "libasan.so",
            "libstdc++.so",
        )  # without the second, ASan fails at the first C++ exception
    ]
    return {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until the end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
