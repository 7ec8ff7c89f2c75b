"""Build of csrc/emulation: the CUDA kernels as CPU code, once per sanitizer."""

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SANITIZERS = ("none", "address", "thread")


def _program(name: str) -> str | None:
    """Return the path of a tool: from the wheel next to this Python if present, else on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def missing_tools() -> str | None:
    """Return the reason why nothing can be built here, or None."""
    # The sanitizers' libraries are located by g++'s names, so no other compiler works.
    if shutil.which("g++") is None:
        return "no g++ on PATH"
    missing = [tool for tool in ("cmake", "ninja") if _program(tool) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


@functools.cache
def build_emulation(sanitizer: str, target: str) -> Path:
    """Build a file of csrc/emulation and return its path.

    The targets are `seeded_defects` with each of SANITIZERS, `_ops_emulated.so` with "none" and
    "address", `race_check` with "thread", and `winograd_check` and `amx_check` with both.
    "address" is AddressSanitizer and UndefinedBehaviorSanitizer; "thread" is ThreadSanitizer.

    The build is incremental: it takes a second if nothing changed. Two processes may call it at the
    same time. Without a compiler the calling test is skipped; if the build fails, the test fails
    with the compiler's message.
    """
    if sanitizer not in SANITIZERS:
        raise ValueError(f"sanitizer is {sanitizer!r}; expected one of {', '.join(SANITIZERS)}")
    reason = missing_tools()
    if reason is not None:
        pytest.skip(f"the CUDA kernels cannot be built for the CPU: {reason}")
    folder = ROOT / "build" / f"emulation-{sanitizer}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in _commands(sanitizer, folder, target):
            done = subprocess.run(
                command, capture_output=True, text=True, env=os.environ | {"CXX": "g++"}
            )
            if done.returncode != 0:
                text = done.stdout + done.stderr
                pytest.fail(
                    f"building the emulation ({sanitizer}) failed:\n{text[-8000:]}", pytrace=False
                )
    return folder / target


def emulated_library() -> Path:
    """Return the library of FASTGAN_EMULATED_LIBRARY, else build the one without sanitizers."""
    given = os.environ.get("FASTGAN_EMULATED_LIBRARY")
    return Path(given) if given else build_emulation("none", "_ops_emulated.so")


def _commands(sanitizer: str, folder: Path, target: str) -> list[list[str]]:
    cmake, ninja = str(_program("cmake")), str(_program("ninja"))
    configure = [
        *(cmake, "-S", str(ROOT / "csrc" / "emulation"), "-B", str(folder), "-G", "Ninja"),
        *(f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DPython_EXECUTABLE={sys.executable}"),
        f"-DFASTGAN_SANITIZER={sanitizer}",
    ]
    jobs = os.environ.get("MAX_JOBS", str(os.cpu_count() or 1))
    build = [cmake, "--build", str(folder), "--target", target, "-j", jobs]
    return [configure, build]
