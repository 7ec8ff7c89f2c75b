"""Backends, and the choice of the one that runs an op.

An op is defined once per *namespace* (:mod:`fastgan.ops._define`)::

    ======================  ==========================================  =====================
    namespace               kernels                                     backend names
    ======================  ==========================================  =====================
    ``fastgan``             native C++ (CPU) and CUDA, by dispatch key  ``cpu``, ``cuda``
    ``fastgan_triton``      Triton                                      ``triton``
    ======================  ==========================================  =====================

``reference`` is plain PyTorch and needs no registration. It also stands in for missing native
kernels of the ``fastgan`` namespace, so that an exported graph runs on any device.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from fastgan._torch_private import assume_constant_result, is_transformed
from fastgan.errors import FastganError

log = logging.getLogger("fastgan")


class BackendUnavailable(FastganError, RuntimeError):
    """A backend that was named cannot run here; the message says why and what to do."""


@dataclass(frozen=True)
class BackendStatus:
    """Availability of a backend on this machine.

    Attributes:
        name: the backend.
        usable: True if it runs here.
        devices: types of devices whose tensors it takes.
        reason: why it isn't usable; else empty.
        remedy: what to do about it; else empty.
    """

    name: str
    usable: bool
    devices: tuple[str, ...]
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Backend:
    """A backend by its name, and what it needs to run."""

    name: str
    # "" for the reference
    namespace: str
    devices: Callable[[], tuple[str, ...]]
    # (reason, remedy) if it isn't usable
    problem: Callable[[], tuple[str, str] | None]


# ----------------------------------------------------------------------- native libraries

_PACKAGE = Path(__file__).resolve().parent.parent
_REBUILD = "reinstall with 'pip install --no-build-isolation .'"
_native_problem: dict[str, tuple[str, str] | None] = {}


def _load_native(backend: str, filename: str, needs_cuda: bool) -> None:
    """Load a compiled library if there is one, else keep the reason for the user."""
    path = _PACKAGE / filename
    if needs_cuda and torch.version.cuda is None:
        _native_problem[backend] = (
            "this torch is built without CUDA",
            "install a CUDA build of torch and reinstall fastgan",
        )
    elif not path.exists():
        remedy = _REBUILD
        if needs_cuda:
            remedy = f"with nvcc on PATH {_REBUILD}; where it finds no GPU, set FASTGAN_CUDA=on"
        _native_problem[backend] = (f"fastgan was built without its {filename}", remedy)
    else:
        try:
            torch.ops.load_library(str(path))
            _native_problem[backend] = None
        except OSError as error:
            _native_problem[backend] = (f"{filename} does not load: {error}", _REBUILD)


_load_native("cpu", "_ops.abi3.so", needs_cuda=False)
_load_native("cuda", "_ops_cuda.abi3.so", needs_cuda=True)

CPU_LEVELS = ("baseline", "avx2", "avx512")


def check_cpu_level(asked: str, runs: str) -> None:
    """Warn if FASTGAN_CPU_LEVEL is an unknown name, or more than this CPU or build has."""
    if asked not in CPU_LEVELS:
        problem = f"FASTGAN_CPU_LEVEL must be one of {', '.join(CPU_LEVELS)}, got {asked!r}"
    elif asked != runs:
        problem = (
            f"FASTGAN_CPU_LEVEL must be at most {runs} on this CPU and build of fastgan, "
            f"got {asked!r}"
        )
    else:
        return
    warnings.warn(
        f"{problem}: the ops run {runs} code; unset it or name another level.", stacklevel=2
    )


if (_asked_level := os.environ.get("FASTGAN_CPU_LEVEL")) and _native_problem["cpu"] is None:
    check_cpu_level(_asked_level, torch.ops.fastgan_runtime.cpu_capability())


_has_gpu = functools.cache(torch.cuda.is_available)


def _no_gpu() -> tuple[str, str] | None:
    if _has_gpu():
        return None
    return (
        "torch sees no CUDA device",
        "run on a machine with a GPU and its driver, or use cpu or reference",
    )


def triton_interpreter() -> bool:
    """Return True if Triton runs in its interpreter, on CPU tensors (``TRITON_INTERPRET=1``)."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def _triton_problem() -> tuple[str, str] | None:
    if importlib.util.find_spec("triton") is None:
        return ("the package triton is not installed", "pip install triton")
    return None if triton_interpreter() else _no_gpu()


BACKENDS: dict[str, Backend] = {
    "cuda": Backend(
        "cuda", "fastgan", lambda: ("cuda",), lambda: _native_problem["cuda"] or _no_gpu()
    ),
    "triton": Backend(
        "triton",
        "fastgan_triton",
        lambda: ("cpu",) if triton_interpreter() else ("cuda",),
        _triton_problem,
    ),
    "cpu": Backend(
        "cpu", "fastgan", lambda: ("cpu",), functools.partial(_native_problem.get, "cpu")
    ),
    "reference": Backend("reference", "", lambda: ("any",), lambda: None),
}


def backends() -> dict[str, BackendStatus]:
    """Return the status of every backend on this machine, by name.

    Returns:
        ``{name: BackendStatus}`` for ``cuda``, ``triton``, ``cpu`` and ``reference``.
    """
    found = {}
    for name, backend in BACKENDS.items():
        reason, remedy = backend.problem() or ("", "")
        found[name] = BackendStatus(name, not reason, backend.devices(), reason, remedy)
    return found


# ------------------------------------------------------------------------------- choosing

_requested: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "fastgan_backend", default=None
)
# Dynamo reads and guards a context variable from torch 2.14 on. Before, compiled code sees the last
# request of any thread, in a global that is guarded too.
_DYNAMO_READS_CONTEXT = torch.__version__ >= "2.14"
_requested_last: str | None = None
# Read once, when fastgan.ops is imported.
_from_environment = os.environ.get("FASTGAN_BACKEND") or None


@contextlib.contextmanager
def use_backend(name: str | None) -> Iterator[None]:
    """Run every op inside the ``with`` block on one backend.

    Args:
        name: ``"reference"``, ``"cpu"``, ``"triton"``, ``"cuda"``, or ``None`` for the automatic
            choice.

    Raises:
        ValueError: there is no backend of that name.
    """
    if name is not None:
        _check_name(name)
    global _requested_last
    token, before = _requested.set(name), _requested_last
    _requested_last = name
    try:
        yield
    finally:
        _requested.reset(token)
        _requested_last = before


def _check_name(name: str) -> None:
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")


@assume_constant_result
def _named(name: str, device: str) -> str:
    _check_name(name)
    backend = BACKENDS[name]
    if (problem := backend.problem()) is not None:
        raise BackendUnavailable(f"backend {name!r} cannot run here: {problem[0]}; {problem[1]}")
    served = backend.devices()
    if device not in served and served != ("any",):
        raise BackendUnavailable(
            f"backend {name!r} runs on {' and '.join(served)} tensors, got {device} tensors; "
            f"move them or leave backend=None to choose automatically"
        )
    return name


_PREFERENCE = {"cuda": ("cuda", "triton"), "cpu": ("cpu",)}
_told: set[tuple[str, str]] = set()


@assume_constant_result
def _automatic(op: str, device: str) -> str:
    for name in _PREFERENCE.get(device, ()):
        problem = BACKENDS[name].problem()
        if problem is None:
            return name
        if (op, name) not in _told:
            _told.add((op, name))
            log.warning("%s on %s falls back from backend %r: %s; %s", op, device, name, *problem)
    return "reference"


def choose_backend(op: str, device: torch.device, backend: str | None) -> str:
    """Return the name of the backend that runs ``op`` on ``device``.

    The argument ``backend`` takes precedence, then ``use_backend``, then ``FASTGAN_BACKEND``, then
    the automatic choice.

    Raises:
        BackendUnavailable: the backend that was named cannot run here, or not on this device.
        ValueError: there is no backend of that name.
    """
    # There a custom op fails or gives tangents of zero; plain PyTorch doesn't.
    if is_transformed():
        return "reference"
    name = backend
    if name is None:
        readable = _DYNAMO_READS_CONTEXT or not torch.compiler.is_dynamo_compiling()
        name = (_requested.get() if readable else _requested_last) or _from_environment
    return _automatic(op, device.type) if name is None else _named(name, device.type)


LEAN: dict[str, SimpleNamespace] = {}
"""Lean functions of the ops by namespace."""


def registered_ops_of(backend: str) -> Any:
    """Return the ``torch.ops`` namespace that holds the kernels of ``backend``."""
    return getattr(torch.ops, BACKENDS[backend].namespace)


def ops_of(backend: str) -> Any:
    """Return the ops with the kernels of ``backend``, as functions of positional arguments.

    Eager code gets lean ones, compiled code the registered ops.
    """
    if torch.compiler.is_dynamo_compiling():
        return registered_ops_of(backend)
    return LEAN[BACKENDS[backend].namespace]
