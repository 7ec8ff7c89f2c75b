"""Digests of everything that determines a backend test: sources, test harness, compilers."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = (
    "FASTGAN_CPU_LEVEL",
    "TRITON_INTERPRET",
    "FASTGAN_EMULATED_LIBRARY",
    "TORCH_CUDA_ARCH_LIST",
)
SHARED = (
    "CMakeLists.txt",
    "csrc/*.*",
    "csrc/common/**/*",
    "csrc/emulation/**/*",
    "fastgan/_torch_private.py",
    "fastgan/ops/*.py",
    "tests/specs/*.py",
    "tests/*.py",
    "tests/emulation/*.py",
    "benchmarks/evidence/*.py",
)
#: Folders of tests that the ops' sources determine; other tests run the whole package.
OF_OPS = ("ops", "emulation", "packaging")
OPS = sorted(
    path.name for path in (ROOT / "fastgan" / "ops").iterdir() if (path / "__init__.py").exists()
)
MENTION = re.compile(rf"\b({'|'.join(OPS)}|winograd)\b")


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(
            f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest()
        )
    return digest.hexdigest()


def _files(*patterns: str) -> list[Path]:
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "__pycache__" not in path.parts)


@functools.cache
def _of_op(op: str) -> list[Path]:
    return _files(f"csrc/{op}/**/*", f"fastgan/ops/{op}/**/*")


@functools.cache
def _mentioned(op: str) -> frozenset[str]:
    """Return the ops that an op's sources mention, including itself."""
    texts = [path.read_text(errors="replace") for path in _of_op(op) if path.suffix != ".md"]
    return frozenset({op, *(name for text in texts for name in MENTION.findall(text))})


@functools.cache
def closure(op: str) -> tuple[str, ...]:
    """Return the op with all ops that its sources mention, directly or not."""
    found: set[str] = set()
    waiting = {op}
    while waiting:
        found |= waiting
        waiting = {name for one in waiting for name in _mentioned(one)} - found
    return tuple(sorted(found))


def _version(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return f"no {command[0]}"
    return subprocess.run([*command, "--version"], capture_output=True, text=True).stdout


@functools.cache
def machine() -> str:
    """Return a description of compilers, packages, instruction set and environment."""
    import torch

    packages = [f"{name} {metadata.version(name)}" for name in ("torch", "pytest", "numpy")]
    triton = [f"triton {metadata.version('triton')}"] if _installed("triton") else []
    level = (
        torch.ops.fastgan_runtime.cpu_capability() if hasattr(torch.ops, "fastgan_runtime") else ""
    )
    settings = [f"{name}={os.environ.get(name)}" for name in ENVIRONMENT]
    versions = [_version("g++"), _version("nvcc"), platform.python_version(), str(level)]
    return "\n".join([*packages, *triton, *versions, *settings])


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


@functools.cache
def digest(test: Path) -> str:
    """Return a digest for the tests in a file: of the op that it is named after, or of more."""
    op = test.stem.removeprefix("test_")
    ops = closure(op) if op in OPS else (*OPS, "winograd")
    files = {path for name in ops for path in _of_op(name)} | set(_files(*SHARED))
    files |= {path for path in _files("tests/ops/*.py") if not path.stem.startswith("test_")}
    files |= {test, *(() if test.parent.name in OF_OPS else _files("fastgan/**/*.py"))}
    return hashlib.sha256(f"{_hash(sorted(files))}\n{machine()}".encode()).hexdigest()
