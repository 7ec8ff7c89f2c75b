"""Registration of ops, and the choice of the backend that runs them.

Every op has one schema, one fake kernel and one derivative, written in Python. It is defined once
per *namespace*::

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from fastgan._torch_private import assume_constant_result, is_transformed, will_be_computed
from fastgan.errors import FastganError
from fastgan.ops._lean import lean

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
class _Backend:
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
    "cpu": _Backend(
        "cpu", "fastgan", lambda: ("cpu",), functools.partial(_native_problem.get, "cpu")
    ),
    "reference": _Backend("reference", "", lambda: ("any",), lambda: None),
}


def backends() -> dict[str, BackendStatus]:
    """Return the status of every backend on this machine, by name.

    Returns:
        ``{name: BackendStatus}`` for ``cuda``, ``triton``, ``cpu`` and ``reference``.
    """
    found = {}
    for name, backend in _backends.items():
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


_lean: dict[str, SimpleNamespace] = {}


def registered_ops_of(backend: str) -> Any:
    """Return the ``torch.ops`` namespace that holds the kernels of ``backend``."""
    return getattr(torch.ops, _backends[backend].namespace)


def ops_of(backend: str) -> Any:
    """Return the ops with the kernels of ``backend``, as functions of positional arguments.

    Eager code gets lean ones, compiled code the registered ops.
    """
    if torch.compiler.is_dynamo_compiling():
        return registered_ops_of(backend)
    return _lean[_backends[backend].namespace]


# --------------------------------------------------------------------------- registration


@dataclass
class OpDefinition:
    """Definition of a registered op, the same in every namespace; :func:`define` makes it.

    Args:
        schema: ``name(arguments) -> results`` in torch's schema language. The op is functional:
            it mutates and aliases nothing.
        kernel: plain PyTorch, used in ``fastgan`` where no native kernel is registered.
        fake: shapes, dtypes and exact strides of the results.
        backward: ``(ops, ctx, *grads)``, which returns a tuple of gradients; ``ops`` is the
            namespace of the forward op, so that derivatives stay on its kernels. Inputs behind the
            last gradient have none.
        setup_context: ``(ctx, inputs, output)``, for ``torch.library.register_autograd``. By
            default ``ctx`` saves all tensors, which come first, and has the rest as ``settings``.
        triton: loads the launcher of the Triton kernel on first use. None for an op without kernels
            of its own, whose reference runs in every namespace.
    """

    schema: str
    kernel: Callable[..., Any]
    fake: Callable[..., Any]
    backward: Callable[..., tuple[Any, ...]]
    setup_context: Callable[..., None]
    triton: Callable[[], Callable[..., Any]] | None = None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.schema.partition("(")[0]


def define(
    schema: str,
    reference: ModuleType | Callable[..., Any],
    *,
    fake: Callable[..., Any],
    backward: Callable[..., tuple[Any, ...]],
    setup_context: Callable[..., None] | None = None,
    materialize: bool = True,
    triton: str = "",
) -> None:
    """Register an op in every namespace.

    Args:
        schema, fake, backward, setup_context: as in :class:`OpDefinition`.
        materialize: False if ``backward`` takes None for an incoming gradient of zero.
        reference: the plain PyTorch kernel, or the module with a function of the op's name.
        triton: the package whose module ``triton`` has a launcher of the op's name. It is imported
            on first use, since importing triton is slow.
    """
    name, _, rest = schema.partition("(")
    kernel = getattr(reference, name) if isinstance(reference, ModuleType) else reference
    tensors = sum(argument.startswith("Tensor") for argument in rest.split(") -> ")[0].split(", "))
    launcher = functools.partial(_launcher, triton, name) if triton else None
    definition = OpDefinition(
        schema, kernel, fake, backward, setup_context or _saving(tensors, materialize), launcher
    )
    _definitions.append(definition)
    for namespace in ("fastgan", "fastgan_triton"):
        _define(definition, namespace)


def _launcher(package: str, name: str) -> Callable[..., Any]:
    launcher: Callable[..., Any] = getattr(importlib.import_module(f"{package}.triton"), name)
    return launcher


def _saving(tensors: int, materialize: bool) -> Callable[..., None]:
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if not materialize:
            ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs[:tensors])
        ctx.settings = inputs[tensors:]

    return setup_context


_definitions: list[OpDefinition] = []
_libraries: dict[str, torch.library.Library] = {}


def _library(namespace: str) -> torch.library.Library:
    if namespace not in _libraries:
        _libraries[namespace] = torch.library.Library(namespace, "FRAGMENT")
    return _libraries[namespace]


def _tensor_places(inputs: Iterable[Any]) -> list[tuple[int, int | None]]:
    """Return the place of each tensor in an op's inputs: its argument, and its index in a list."""
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
    """Return ``ctx.needs_input_grad``, false also for gradients that this pass doesn't use.

    Autograd fills it in when the op runs forward. But gradient penalties call
    ``torch.autograd.grad(y, x)``, which drops the gradient of the weights. That one costs as much
    as the gradient of the image.

    Returns:
        A bool per input; a list of them for a list of tensors.
    """
    wanted = [list(need) if isinstance(need, list) else need for need in ctx.needs_input_grad]
    pairs = zip(ctx.tensor_inputs, ctx.next_functions)
    differentiated = [(place, node) for place, (node, _) in pairs if node is not None]
    computed = will_be_computed([node for _, node in differentiated])
    for ((i, k), _), used in zip(differentiated, computed):
        if not used:
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
        found = definition.backward(ops, ctx, *grads)
        return found + (None,) * (len(ctx.needs_input_grad) - len(found))

    torch.library.register_autograd(qualified, backward, setup_context=setup_context, lib=library)
    triton = definition.triton
    if namespace == "fastgan" or triton is None:
        library.impl(definition.name, definition.kernel, "CompositeExplicitAutograd")
    elif namespace == "fastgan_triton":

        def run(*args: Any) -> Any:
            return triton()(*args)

        library.impl(definition.name, run, "CUDA")
        if triton_interpreter():
            library.impl(definition.name, run, "CPU")
    lean_ops = _lean.setdefault(namespace, SimpleNamespace())
    op = getattr(ops, definition.name).default
    call = lean(op, definition.setup_context, definition.backward, lean_ops)
    setattr(lean_ops, definition.name, call)


def add_backend(name: str, namespace: str, devices: tuple[str, ...], library: Path) -> None:
    """Add a backend from a compiled library that registers kernels in ``namespace``.

    The tests add their emulation of CUDA this way.
    """
    if name in _backends:
        return
    for definition in _definitions:
        _define(definition, namespace)
    torch.ops.load_library(str(library))
    _backends[name] = _Backend(name, namespace, lambda: devices, lambda: None)
