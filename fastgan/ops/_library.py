"""How an op is registered, and which backend runs it.

Every op has one schema, one fake kernel and one derivative, written in Python, and is defined once per *namespace*:

======================  ==========================================  =====================
namespace               kernels                                     backend names
======================  ==========================================  =====================
``fastgan``             native C++ (CPU) and CUDA, by dispatch key  ``cpu``, ``cuda``
``fastgan_triton``      Triton                                      ``triton``
======================  ==========================================  =====================

``reference`` is plain PyTorch and needs no registration; it also stands in as the kernel of the ``fastgan``
namespace wherever a native one is missing, so that an exported graph runs on any device.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fastgan._torch_private import assume_constant_result, is_transformed, will_be_computed
from fastgan.errors import FastganError

log = logging.getLogger("fastgan")


class BackendUnavailable(FastganError, RuntimeError):
    """A backend was asked for by name and cannot run here; the message says why and what to do."""


@dataclass(frozen=True)
class BackendStatus:
    """Whether a backend runs here. ``devices`` are the types it serves; ``reason``, ``remedy`` are empty if usable."""

    name: str
    usable: bool
    devices: tuple[str, ...]
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class _Backend:
    name: str
    namespace: str  # "" for the reference
    devices: Callable[[], tuple[str, ...]]
    problem: Callable[[], tuple[str, str] | None]  # (reason, remedy) if it is not usable


# ---------------------------------------------------------------------------------------------- native libraries

_PACKAGE = Path(__file__).resolve().parent.parent
_REBUILD = "reinstall with 'pip install --no-build-isolation .'"
_native_problem: dict[str, tuple[str, str] | None] = {}


def _load_native(backend: str, filename: str, needs_cuda: bool) -> None:
    """Load one compiled library if it is there. Never compiles, never raises: the problem is kept for the user."""
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
    """Warn where FASTGAN_CPU_LEVEL asks for other CPU code than runs: an unknown name, or more than there is."""
    if asked not in CPU_LEVELS:
        problem = f"FASTGAN_CPU_LEVEL must be one of {', '.join(CPU_LEVELS)}, got {asked!r}"
    elif asked != runs:
        problem = f"FASTGAN_CPU_LEVEL is {asked!r}, but this CPU, or this build of fastgan, has no more than {runs}"
    else:
        return
    warnings.warn(
        f"{problem}: the ops run {runs} code; unset it or name another level.", stacklevel=2
    )


if (_asked_level := os.environ.get("FASTGAN_CPU_LEVEL")) and _native_problem["cpu"] is None:
    check_cpu_level(_asked_level, torch.ops.fastgan_runtime.cpu_capability())


def _no_gpu() -> tuple[str, str] | None:
    if torch.cuda.is_available():
        return None
    return (
        "torch sees no CUDA device",
        "run on a machine with a GPU and its driver, or use cpu or reference",
    )


def triton_interpreter() -> bool:
    """True when Triton runs in its interpreter, on CPU tensors (``TRITON_INTERPRET=1`` in the environment)."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def _triton_problem() -> tuple[str, str] | None:
    if importlib.util.find_spec("triton") is None:
        return ("the package triton is not installed", "pip install triton")
    return None if triton_interpreter() else _no_gpu()


_backends: dict[str, _Backend] = {
    "cuda": _Backend(
        "cuda", "fastgan", lambda: ("cuda",), lambda: _native_problem["cuda"] or _no_gpu()
    ),
    "triton": _Backend(
        "triton",
        "fastgan_triton",
        lambda: ("cpu",) if triton_interpreter() else ("cuda",),
        _triton_problem,
    ),
    "cpu": _Backend("cpu", "fastgan", lambda: ("cpu",), lambda: _native_problem["cpu"]),
    "reference": _Backend("reference", "", lambda: ("any",), lambda: None),
}


def backends() -> dict[str, BackendStatus]:
    """Status of every backend on this machine, by name.

    Returns:
        ``{name: BackendStatus}`` for ``cuda``, ``triton``, ``cpu`` and ``reference``.
    """
    found = {}
    for name, backend in _backends.items():
        reason, remedy = backend.problem() or ("", "")
        found[name] = BackendStatus(name, not reason, backend.devices(), reason, remedy)
    return found


# ------------------------------------------------------------------------------------------------ choosing

_requested: contextvars.ContextVar[str | None] = contextvars.ContextVar(
    "fastgan_backend", default=None
)
# Dynamo reads and guards a context variable from torch 2.14 on. Before, compiled code sees what was asked for last in any
# thread, which is a global that is guarded too.
_DYNAMO_READS_CONTEXT = torch.__version__ >= "2.14"
_requested_last: str | None = None
_from_environment = (
    os.environ.get("FASTGAN_BACKEND") or None
)  # read once, when fastgan.ops is imported


@contextlib.contextmanager
def use_backend(name: str | None) -> Iterator[None]:
    """Run every op inside the ``with`` block on one backend.

    Args:
        name: ``"reference"``, ``"cpu"``, ``"triton"``, ``"cuda"``, or ``None`` for the automatic choice.

    Raises:
        ValueError: if there is no backend of that name.
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


def _request() -> str | None:
    if _DYNAMO_READS_CONTEXT or not torch.compiler.is_compiling():
        return _requested.get()
    return _requested_last


def _check_name(name: str) -> None:
    if name not in _backends:
        raise ValueError(f"backend must be one of {', '.join(_backends)}, got {name!r}")


@assume_constant_result
def _named(name: str, device: str) -> str:
    _check_name(name)
    backend = _backends[name]
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
        problem = _backends[name].problem()
        if problem is None:
            return name
        if (op, name) not in _told:
            _told.add((op, name))
            log.warning("%s on %s falls back from backend %r: %s; %s", op, device, name, *problem)
    return "reference"


def choose_backend(op: str, device: torch.device, backend: str | None) -> str:
    """The backend that runs ``op`` on ``device``: argument, ``use_backend``, ``FASTGAN_BACKEND``, automatic.

    Raises:
        BackendUnavailable: a backend was named that cannot run here or not on this device.
        ValueError: there is no backend of that name.
    """
    # There a custom op fails or gives tangents of zero; plain PyTorch doesn't.
    if is_transformed():
        return "reference"
    name = backend or _request() or _from_environment
    return _automatic(op, device.type) if name is None else _named(name, device.type)


def ops_of(backend: str) -> Any:
    """The ``torch.ops`` namespace that holds the kernels of ``backend``."""
    return getattr(torch.ops, _backends[backend].namespace)


# ---------------------------------------------------------------------------------------------- registration


@dataclass
class OpDefinition:
    """What Python knows of one registered op; the same for every namespace it is defined in.

    Args:
        schema: ``name(arguments) -> results`` in torch's schema language; functional, nothing mutated or aliased.
        reference: plain PyTorch kernel, used in namespace ``fastgan`` where no native kernel is registered.
        fake: shapes, dtypes and exact strides of the results.
        setup_context: ``(ctx, inputs, output)``, as ``torch.library.register_autograd`` takes it.
        backward: ``(ops, ctx, *grads)``; ``ops`` is the namespace of the forward op, so derivatives stay on its kernels.
        triton: loads the Triton kernel's launcher on first use; None for an op without kernels of its own, whose reference
            runs in every namespace.
    """

    schema: str
    reference: Callable[..., Any]
    fake: Callable[..., Any]
    setup_context: Callable[..., None]
    backward: Callable[..., Any]
    triton: Callable[[], Callable[..., Any]] | None = None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.schema.partition("(")[0]


def triton_of(package: str) -> Callable[[str], Callable[[], Callable[..., Any]]]:
    """Loaders of the launchers in ``package.triton``, by name. They import it on first use: importing triton is slow."""

    def loader(name: str) -> Callable[[], Callable[..., Any]]:
        return lambda: getattr(importlib.import_module(f"{package}.triton"), name)

    return loader


_definitions: list[OpDefinition] = []
_libraries: dict[str, torch.library.Library] = {}


def _library(namespace: str) -> torch.library.Library:
    if namespace not in _libraries:
        _libraries[namespace] = torch.library.Library(namespace, "FRAGMENT")
    return _libraries[namespace]


def _tensor_places(inputs: Iterable[Any]) -> list[tuple[int, int | None]]:
    """Where the tensors among an op's inputs are, in order: argument and, in a list of tensors, place in it."""
    places: list[tuple[int, int | None]] = []
    for i, value in enumerate(inputs):
        if isinstance(value, torch.Tensor):
            places.append((i, None))
        elif isinstance(value, list):
            places += [
                (i, k) for k, element in enumerate(value) if isinstance(element, torch.Tensor)
            ]
    return places


def _wanted(ctx: Any) -> tuple[Any, ...]:
    """``ctx.needs_input_grad``, false also for what this backward pass has no use for; a list for a list of tensors.

    Autograd fills that in when the op runs forward. But ``torch.autograd.grad(y, x)``, as gradient penalties call it,
    drops the gradient of the weights, which costs as much as that of the image.
    """
    wanted = [list(need) if isinstance(need, list) else need for need in ctx.needs_input_grad]
    for (i, k), (node, _) in zip(ctx.tensor_inputs, ctx.next_functions):
        # will_be_computed is None for a leaf that autograd.grad was asked for.
        if node is not None and will_be_computed(node) is False:
            if k is None:
                wanted[i] = False
            else:
                wanted[i][k] = False
    return tuple(wanted)


def _define(definition: OpDefinition, namespace: str) -> None:
    library = _library(namespace)
    library.define(definition.schema, tags=(torch.Tag.pt2_compliant_tag,))
    qualified = f"{namespace}::{definition.name}"
    torch.library.register_fake(qualified, definition.fake, lib=library)
    ops = getattr(torch.ops, namespace)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.tensor_inputs = _tensor_places(inputs)
        definition.setup_context(ctx, inputs, output)

    def backward(ctx: Any, *grads: torch.Tensor | None) -> Any:
        ctx.needs_input_grad = _wanted(ctx)
        return definition.backward(ops, ctx, *grads)

    torch.library.register_autograd(qualified, backward, setup_context=setup_context, lib=library)
    triton = definition.triton
    if namespace == "fastgan" or triton is None:
        library.impl(definition.name, definition.reference, "CompositeExplicitAutograd")
    elif namespace == "fastgan_triton":

        def run(*args: Any) -> Any:
            return triton()(*args)

        library.impl(definition.name, run, "CUDA")
        if triton_interpreter():
            library.impl(definition.name, run, "CPU")


def define(definition: OpDefinition) -> None:
    """Register an op in every namespace."""
    _definitions.append(definition)
    for namespace in ("fastgan", "fastgan_triton"):
        _define(definition, namespace)


def add_backend(name: str, namespace: str, devices: tuple[str, ...], library: Path) -> None:
    """Add a backend from a compiled library that registers kernels in ``namespace`` (used by the tests' emulation)."""
    if name in _backends:
        return
    for definition in _definitions:
        _define(definition, namespace)
    torch.ops.load_library(str(library))
    _backends[name] = _Backend(name, namespace, lambda: devices, lambda: None)
