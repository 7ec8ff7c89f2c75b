"""Running of programs under the sanitizers."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

# TSan's message if address-space randomisation exceeds what its shadow memory allows.
_TSAN_CANNOT_MAP = "unexpected memory mapping"


def run(
    command: list[str], *, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with additional environment variables; stdout and stderr are text."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env=os.environ | environment,
    )


def tsan_command(program: Path) -> list[str]:
    """Return the command that starts a program with ThreadSanitizer; skip if none works."""
    if _TSAN_CANNOT_MAP not in run([str(program), "--list"]).stderr:
        return [str(program)]
    without_randomisation = ["setarch", platform.machine(), "-R", str(program)]
    if shutil.which("setarch") and run([*without_randomisation, "--list"]).returncode == 0:
        return without_randomisation
    pytest.skip(
        "ThreadSanitizer cannot map its memory here: vm.mmap_rnd_bits is above 28, "
        "and setarch -R is not allowed"
    )


def asan_environment() -> dict[str, str]:
    """Return the environment of a Python that loads a library built with AddressSanitizer."""
    # Without libstdc++, ASan fails at the first C++ exception.
    libraries = [
        run(["g++", f"-print-file-name={name}"]).stdout.strip()
        for name in (
            "libasan.so",
            "libstdc++.so",
        )
    ]
    return {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until the end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
