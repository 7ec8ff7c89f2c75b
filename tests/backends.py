"""Sessions of `make test-backends`, one after the other: `python -m tests.backends [SESSION ...]`.

The same kernels run in other ways than in `make test`. CUDA kernels run as CPU code under
AddressSanitizer, and Triton kernels in its interpreter. CPU kernels run for a lower instruction
set. Tests of compiled programs start compilers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulation.build import build_emulation
from tests.emulation.sanitizers import asan_environment
from tests.ops.files import IMPLICIT_GEMM, ON_EVERY_BACKEND
from tests.tiers import Stopwatch

ROOT = Path(__file__).resolve().parents[1]
BUDGET = 480  # seconds of all sessions on two cores
LEVELS = ("baseline", "avx2", "avx512")
LEVEL = "import torch, fastgan.ops; print(torch.ops.fastgan_runtime.cpu_capability())"


@dataclass(frozen=True)
class Session:
    """One run of pytest in its own environment."""

    name: str
    arguments: tuple[object, ...]
    environment: Callable[[], Mapping[str, str]] = dict
    least_passes: int = 1
    files: tuple[Path, ...] = ()


def asan() -> dict[str, str]:
    """Return the environment of emulated CUDA kernels with AddressSanitizer and UBSan."""
    library = build_emulation("address", "_ops_emulated.so")
    return {"FASTGAN_EMULATED_LIBRARY": str(library), **asan_environment()}


def lower(level: str) -> dict[str, str]:
    """Return the environment of a lower instruction set; raise LookupError if it isn't lower."""
    best = cpu_level({})
    if LEVELS.index(level) >= LEVELS.index(best):
        raise LookupError(f"make test runs {best}")
    environment = {"FASTGAN_CPU_LEVEL": level}
    if (got := cpu_level(environment)) != level:
        raise SystemExit(f"FASTGAN_CPU_LEVEL={level} runs the code of {got}")
    return environment


def cpu_level(environment: Mapping[str, str]) -> str:
    """Return the instruction set of the kernels that run in this environment."""
    clean = {name: value for name, value in os.environ.items() if name != "FASTGAN_CPU_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", LEVEL],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


OF_THE_CPU = "cpu and (values or halves or half) or random_arguments"
EMULATED = (*ON_EVERY_BACKEND, ROOT / "tests" / "emulation" / "test_library.py")
CONVOLUTION = ROOT / "tests" / "ops" / "test_conv2d.py"
SESSIONS = [
    Session("programs", ("-m", "backends and not long and not gpu"), least_passes=0),
    Session("emulated", ("-m", "emulated and not long"), asan, files=EMULATED),
    Session(
        "interpreter",
        ("-k", "triton or implicit_gemm"),
        lambda: {"TRITON_INTERPRET": "1"},
        20,
        (*ON_EVERY_BACKEND, IMPLICIT_GEMM),
    ),
    *(
        Session(
            level,
            ("-k", OF_THE_CPU),
            lambda level=level: lower(level),
            10,
            (*ON_EVERY_BACKEND, CONVOLUTION),
        )
        for level in LEVELS[:-1]
    ),
]


def run(session: Session) -> bool:
    """Run one session; True if all its tests passed."""
    print(f"\n=== {session.name} ===", flush=True)
    try:
        environment = os.environ | session.environment()
    except (LookupError, pytest.skip.Exception) as reason:
        print(f"left out: {reason}", flush=True)
        return True
    except pytest.fail.Exception as reason:
        print(reason, flush=True)
        return False
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-rfE"),
        *("-n", "logical", "--maxprocesses", "4", "--dist", "loadgroup"),
        *("-p", "no:cacheprovider", "--skip-passed", "--record", f"backends/{session.name}"),
        *("--least-passes", session.least_passes, *session.arguments, *session.files),
    ]
    return (
        subprocess.run([str(part) for part in command], cwd=ROOT, env=environment).returncode == 0
    )


def main() -> int:
    names = [session.name for session in SESSIONS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", nargs="*", choices=[*names, []], default=[], metavar="SESSION",
                        help=f"one of {', '.join(names)}; all without any")  # fmt: skip
    chosen = parser.parse_args().sessions or names
    stopwatch = Stopwatch(cores=min(4, os.cpu_count() or 1))
    failed = [s.name for s in SESSIONS if s.name in chosen and not run(s)]
    names = ", ".join(failed) or "none"
    print(f"\n{len(chosen)} sessions in {stopwatch.wall():.0f} seconds, failed: {names}")
    if overrun := stopwatch.overrun(BUDGET):
        print(overrun)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
