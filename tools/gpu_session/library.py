"""The CUDA library that goes to a GPU machine: the digest of its sources, its size and its build.

``csrc/sources.cmake`` puts the digest into the library. So a file tells whether it was built from
the sources of a checkout, on a machine without a GPU, torch or a compiler.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "fastgan/_ops_cuda.abi3.so"
PATTERNS = ("*.h", "*.cuh", "*.in", "glue.cpp")
#: Code of the CPU alone.
OTHERS = ("cpu", "race_check")
MARK = re.compile(rb"fastgan CUDA sources ([0-9a-f]{64})")


def digest_of_sources(root: Path = ROOT) -> str:
    """Return the digest that a library built from this checkout holds."""
    ops = [path.parent for path in sorted(root.glob("csrc/*/kernel.cuh"))]
    found = {root / "CMakeLists.txt", *root.glob("csrc/*.cmake")}
    for folder in (*ops, root / "csrc" / "common"):
        found |= {
            path
            for pattern in PATTERNS
            for path in folder.glob(pattern)
            if not path.name.startswith(OTHERS)
        }
    lines = sorted(
        f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in found
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_in(library: Path) -> str | None:
    """Return the digest that a library holds; None if it holds none or doesn't exist."""
    try:
        found = MARK.search(library.read_bytes())
    except OSError:
        return None
    return found[1].decode() if found else None


def problem_of(library: Path, root: Path = ROOT) -> str:
    """Return why a library isn't the one of this checkout; an empty text if it is."""
    if not library.exists():
        return f"there is no {library.name}"
    have, want = digest_in(library), digest_of_sources(root)
    if have is None:
        return f"{library.name} holds no digest of its sources"
    return "" if have == want else f"{library.name} was built from other sources than these"


def build(root: Path = ROOT) -> None:
    """Build the native libraries in place, for ``TORCH_CUDA_ARCH_LIST`` or 9.0.

    Raises:
        subprocess.CalledProcessError: the build failed; its output says why.
    """
    environment = {
        "TORCH_CUDA_ARCH_LIST": "9.0",
        **os.environ,
        "FASTGAN_CUDA": "on",
    }
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    subprocess.run(command, cwd=root, env=environment, check=True)
