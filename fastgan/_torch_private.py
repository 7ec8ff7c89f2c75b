"""All use of torch's private names, each in a small function that says what it is needed for.

Private names may change with any release of torch. A test in `tests/test_torch_private.py` covers
each function, and another one finds private names elsewhere in the package. Modules that are slow
to import, torch._dynamo and torch._inductor, are imported where they are used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, compiler, nn
from torch.autograd import forward_ad
from torch.compiler import is_dynamo_compiling
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.utils._python_dispatch import TorchDispatchMode

F = TypeVar("F", bound=Callable[..., Any])

CONVOLUTIONS: tuple[type[Any], ...] = (_ConvNd,)
"""Base class of all convolutions, plain and transposed."""

TRANSPOSED_CONVOLUTIONS: tuple[type[Any], ...] = (_ConvTransposeNd,)
"""Base class of all transposed convolutions, whose weights have the input channels first."""


# -------------------------------------------------------------------------------- machine


def has_amx() -> bool:
    """Return True if the CPU has AMX, on which oneDNN multiplies bfloat16 matrices.

    A system may have it and refuse its registers to a process, as some containers do.
    """
    return bool(torch.cpu._is_amx_tile_supported() and torch.cpu._init_amx())


# -------------------------------------------------------------------------------- tracing

_functorch_stack = torch._C._functorch.peek_interpreter_stack
_dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing_state = torch._C._get_tracing_state


def assume_constant_result(function: F) -> F:
    """Mark a function whose result is a constant of a compiled graph.

    :func:`torch.compiler.assume_constant_result` does the same, but imports torch._dynamo, which
    takes as long as importing torch.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


# A constant in a graph: Dynamo wraps the interpreter in an object that is never None.
@assume_constant_result
def is_transformed() -> bool:
    """Return True under a functorch transform or forward-mode AD, which break custom ops."""
    return _functorch_stack() is not None or forward_ad._current_level >= 0


def is_plain_eager() -> bool:
    """Return True if operations just run: nothing compiles, transforms, traces or watches them.

    It is False under torch.compile and torch.export, functorch and forward-mode AD, dispatch modes
    such as make_fx and FakeTensorMode, and :func:`torch.jit.trace`.
    """
    # Dynamo folds the first condition, and traces none of the others.
    # Every eager call of an op asks, so that the questions are spelled out and call little.
    return not (
        is_dynamo_compiling()
        or compiler._is_compiling_flag
        or _functorch_stack() is not None
        or forward_ad._current_level >= 0
        or _dispatch_modes()
        or _tracing_state() is not None
    )


def can_trace_gradients() -> bool:
    """Return True if Dynamo of this torch traces calls of :func:`torch.autograd.grad`."""
    import torch._dynamo.config as config

    return hasattr(config, "trace_autograd_ops")


@contextlib.contextmanager
def dynamo_settings(**settings: Any) -> Iterator[None]:
    """Change settings of Dynamo inside the ``with`` block, such as ``trace_autograd_ops``."""
    import torch._dynamo.config as config

    with config.patch(**settings):
        yield


def dynamo_error() -> type[Exception]:
    """Return the base class of errors in Dynamo and in the compilers that it calls."""
    import torch._dynamo.exc

    return torch._dynamo.exc.TorchDynamoException


# ------------------------------------------------------------------------------- autograd


_will_execute = torch._C._will_engine_execute_node

below_autograd = torch._C._AutoDispatchBelowAutograd
"""Context manager in which ops run their kernels, and record nothing for derivatives."""


def call_of(op: Any) -> Callable[..., Any]:
    """Return the function of the dispatcher that the overload ``op`` calls from Python."""
    call: Callable[..., Any] = op._op
    return call


def tensor_places(op: Any) -> tuple[int, ...] | None:
    """Return the places of tensors among an op's arguments; None if it has lists of tensors.

    Args:
        op: an overload, such as ``torch.ops.aten.add.Tensor``.
    """
    schema = op._schema
    if any(
        "List[" in str(value.type) and "Tensor" in str(value.type)
        for value in (*schema.arguments, *schema.returns)
    ):
        return None
    return tuple(i for i, argument in enumerate(schema.arguments) if "Tensor" in str(argument.type))


def will_be_computed(nodes: Sequence[Any]) -> list[bool]:
    """Return whether the running backward pass computes the gradients that the nodes take.

    So an op leaves out gradients that :func:`torch.autograd.grad` was not asked for. It is True for
    leaves that it was asked for, on which torch gives no answer. It is also True in a backward pass
    that Dynamo traces (compiled autograd).
    """
    if is_dynamo_compiling():
        return [True] * len(nodes)
    try:
        return list(map(_will_execute, nodes))
    # One of several is a leaf.
    except RuntimeError:
        return [True] if len(nodes) == 1 else [will_be_computed([node])[0] for node in nodes]


# --------------------------------------------------------------------------- many tensors


def copy_all_(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source into its target, in a few launches for all of them."""
    if targets:
        torch._foreach_copy_(list(targets), list(sources))


def multiply_all(tensors: Sequence[Tensor], factors: Sequence[float]) -> list[Tensor]:
    """Return each tensor times its factor, in a few launches for all of them."""
    return list(torch._foreach_mul(list(tensors), list(factors)))


def add_all_(targets: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    """Add to each target its other tensor, in a few launches for all of them."""
    torch._foreach_add_(list(targets), list(others))


# -------------------------------------------------------------------------------- modules


def explicit_padding(layer: nn.Conv2d) -> tuple[int, int, int, int]:
    """Return a convolution's padding as ``(left, right, top, bottom)``, also for "same"."""
    left, right, top, bottom = layer._reversed_padding_repeated_twice
    return left, right, top, bottom


def check_batch_norm_input(layer: Any, x: Tensor) -> None:
    """Raise torch's ValueError unless ``x`` has a rank that the batch norm takes."""
    layer._check_input_dim(x)


def forward_pre_hooks(network: nn.Module) -> dict[int, Callable[..., Any]]:
    """Return the forward pre-hooks of a module; deleting an entry removes the hook.

    A copy of a module has copies of its hooks, to which the original's handles don't lead.
    """
    return network._forward_pre_hooks


def remove_forward_hooks(network: nn.Module, owner: object) -> None:
    """Remove the forward hooks that are methods of ``owner``."""
    for key, hook in list(network._forward_hooks.items()):
        if getattr(hook, "__self__", None) is owner:
            del network._forward_hooks[key]
            network._forward_hooks_always_called.pop(key, None)


# --------------------------------------------------------------------------------- export


class _Replacing(TorchDispatchMode):
    def __init__(self, replace: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.replace = replace

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.replace(func, func(*args, **(kwargs or {})))


def replacing_results(replace: Callable[[Any, Any], Any]) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which every operation gives ``replace(operation, result)``.

    Operations are those of ``torch.ops``, such as ``torch.ops.aten.randn.default``.
    """
    return _Replacing(replace)


def op_namespace(target: Any) -> str:
    """Return the namespace of an op in a graph, such as ``aten``; "" for anything else."""
    return target.namespace if isinstance(target, torch._ops.OpOverload) else ""


def drop_guards(program: torch.export.ExportedProgram) -> None:
    """Remove an exported program's guards on memory layouts, which refuse sizes of 1."""
    program._guards_code = []


def compile_package(
    program: torch.export.ExportedProgram, path: str, settings: dict[str, Any]
) -> None:
    """Compile an exported program into a package at ``path`` by AOTInductor.

    Raises:
        Exception: whatever compilers and code generators raise.
    """
    import torch._inductor

    torch._inductor.aoti_compile_and_package(program, package_path=path, inductor_configs=settings)


def load_package(path: str) -> Callable[..., Any]:
    """Return the function in a package of AOTInductor."""
    import torch._inductor

    return torch._inductor.aoti_load_package(path)
