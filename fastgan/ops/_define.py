"""Registration of ops: one schema, one fake kernel and one derivative, in every namespace.

:mod:`fastgan.ops._library` says what namespaces are.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from fastgan._torch_private import will_be_computed
from fastgan.ops import _library as backends
from fastgan.ops._lean import lean


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
        if backends.triton_interpreter():
            library.impl(definition.name, run, "CPU")
    lean_ops = backends.LEAN.setdefault(namespace, SimpleNamespace())
    op = getattr(ops, definition.name).default
    call = lean(op, definition.setup_context, definition.backward, lean_ops)
    setattr(lean_ops, definition.name, call)


def add_backend(name: str, namespace: str, devices: tuple[str, ...], library: Path) -> None:
    """Add a backend from a compiled library that registers kernels in ``namespace``.

    The tests add their emulation of CUDA this way.
    """
    if name in backends.BACKENDS:
        return
    for definition in _definitions:
        _define(definition, namespace)
    torch.ops.load_library(str(library))
    backends.BACKENDS[name] = backends.Backend(name, namespace, lambda: devices, lambda: None)
