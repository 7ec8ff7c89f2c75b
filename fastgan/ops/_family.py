"""Families of ops: an op with its first and second derivative, from one declaration.

Arguments and results match by name. For ``y = op(x, w)`` they are::

    op_backward(dy, x, w) -> (dx, dw)
    op_double_backward(ddx, ddw, dy, x, w) -> (ddy, dx, dw)

So ``dx`` is the gradient in x, and ``ddx`` the one in dx. The third order is autograd of the second
derivative's reference. An op whose derivatives have another form takes
:func:`fastgan.ops._define.define`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._define import define
from fastgan.ops._derived import derived

Gradients = tuple[Tensor | None, ...]


class Arguments(dict[str, Any]):
    """An op's arguments by name, as attributes; None for those that it doesn't have."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def define_family(
    schema: str,
    reference: ModuleType,
    triton: str,
    *,
    like: dict[str, Callable[[Arguments], Tensor]],
    kernel: Callable[..., Any] | None = None,
    saved: str = "",
    save: Callable[..., Sequence[Any]] | None = None,
    flags: tuple[str, str] | None = None,
    needed: Callable[..., Sequence[bool]] | None = None,
) -> None:
    """Register an op, its first and its second derivative.

    Args:
        schema: ``name(arguments) -> results``, tensors first, with the names of the results:
            ``norm(Tensor x, float eps) -> Tensor y``. Only the first result has a gradient.
        reference: module with the plain PyTorch kernels of the ops by name.
        triton: package whose module ``triton`` has the launchers by name.
        like: empty tensors with shape, dtype and strides of the results, from the arguments. The
            function of ``x`` serves dx in both derivatives, that of ``y`` serves ddy too.
        kernel: the op's own plain PyTorch kernel, if it isn't the module's function of its name.
        saved: what the derivatives take beside dy, as in a schema, tensors first: by default the
            op's tensors.
        save: ``(needs, results, *arguments)``, which returns the values of ``saved``: None for a
            tensor without which the derivatives that are needed can do. By default the op's
            tensors.
        flags: the results of both derivatives that can be left out, by an argument ``need_...``:
            the last ones. By default all of the second derivative.
        needed: ``(wanted, directions, settings)``, which returns for each result of the second
            derivative whether it is wanted and not zero. Absent directions are None.
    """
    name, inputs, results = _parsed(schema)
    tensors = [n for kind, n in inputs if kind.startswith("Tensor")]
    settings = inputs[len(tensors) :]
    kept = _pairs(saved) if saved else inputs[: len(tensors)]
    y = results[0][1]
    dy = ("Tensor", f"d{y}")
    # Results are named after what they are the gradients of.
    of_first, of_second = tensors, [dy[1], *(n for _, n in kept if n in tensors)]
    flags_1, flags_2 = (f.split() for f in flags) if flags else ([], [f"d{n}" for n in of_second])
    directions = [("Tensor?" if f"d{n}" in flags_1 else "Tensor", f"dd{n}") for n in of_first]
    inputs_1 = [dy, *kept, *settings, *(("bool", f"need_{n}") for n in flags_1)]
    inputs_2 = [*directions, dy, *kept, *settings, *(("bool", f"need_{n}") for n in flags_2)]
    first, second = f"{name}_backward", f"{name}_double_backward"

    count = sum(kind.startswith("Tensor") for kind, _ in inputs_1)
    end = len(inputs_1) - len(flags_1)
    flag_of = [flags_1.index(f"d{n}") if f"d{n}" in flags_1 else None for n in of_first]
    places = [[n for _, n in inputs_1].index(n) for n in of_second]
    # The results with flags are the last ones.
    from_1, from_2 = len(of_first) - len(flags_1), len(of_second) - len(flags_2)

    def context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        if len(results) > 1:
            ctx.mark_non_differentiable(*output[1:])
        if save is None:
            ctx.save_for_backward(*inputs[: len(tensors)])
            ctx.settings = inputs[len(tensors) :]
            return
        values = tuple(save(ctx.needs_input_grad, output, *inputs))
        ctx.save_for_backward(*values[: count - 1])
        ctx.settings = values[count - 1 :] + inputs[len(tensors) :]

    def backward(ops: Any, ctx: Any, grad: Tensor, *others: Any) -> Gradients:
        needs = ctx.needs_input_grad[: len(of_first)]
        found = getattr(ops, first)(grad, *ctx.saved_tensors, *ctx.settings, *needs[from_1:])
        if len(of_first) == 1:
            return (found,)
        if False not in needs:
            return tuple(found)
        return tuple([t if need else None for t, need in zip(found, needs)])

    def first_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[:count])
        ctx.settings, ctx.has = inputs[count:end], inputs[end:]
        # A penalty on dx alone has no directions for the others, and nothing is computed for them.
        ctx.set_materialize_grads(not flags_1)

    def first_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
        saved, needs = ctx.saved_tensors, ctx.needs_input_grad
        directions = [
            (torch.zeros_like(saved[0]) if grad is None else grad) if flag is None
            else grad if ctx.has[flag] else None
            for grad, flag in zip(grads, flag_of)
        ]  # fmt: skip
        wanted: Sequence[bool] = [needs[i] for i in places]
        if needed is not None:
            wanted = needed(wanted, directions, ctx.settings)
        found = getattr(ops, second)(*directions, *saved, *ctx.settings, *wanted[from_2:])
        gradients: list[Tensor | None] = [None] * count
        for place, gradient, need in zip(places, found, wanted):
            gradients[place] = gradient if need else None
        return tuple(gradients)

    def second_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
        formula, settings = getattr(reference, second), ctx.settings
        return derived(lambda *values: formula(*values, *settings), ctx.saved_tensors, grads)

    for op, arguments, names, function, setup_context, derivative in (
        (name, inputs, [n for _, n in results], kernel or reference, context, backward),
        (first, inputs_1, [f"d{n}" for n in of_first], reference, first_context, first_backward),
        (second, inputs_2, [f"d{n}" for n in of_second], reference, None, second_backward),
    ):  # fmt: skip
        of = "Tensor" if len(names) == 1 else f"({', '.join(['Tensor'] * len(names))})"
        define(
            f"{op}({', '.join(f'{kind} {n}' for kind, n in arguments)}) -> {of}",
            function,
            fake=partial(_fake, like, [n for _, n in arguments], names),
            setup_context=setup_context,
            materialize=op != second,
            backward=derivative,
            triton=triton,
        )


def _pairs(declared: str) -> list[tuple[str, str]]:
    """Return the type and the name of each argument in a list of them."""
    return [(kind, name) for kind, name in (part.split() for part in declared.split(", "))]


def _parsed(schema: str) -> tuple[str, list[tuple[str, str]], list[tuple[str, str]]]:
    name, _, rest = schema.partition("(")
    inputs, _, results = rest.partition(") -> ")
    return name, _pairs(inputs), _pairs(results.strip("()"))


def _fake(
    like: dict[str, Callable[[Arguments], Tensor]],
    names: list[str],
    results: list[str],
    *values: Any,
) -> Any:
    """Return empty results, of no element where they aren't needed."""
    given = Arguments(zip(names, values))
    found = []
    for result in results:
        key = next(k for k in (result, result[1:], result[2:]) if k in like)
        if given.get(f"need_{result}", True):
            found.append(like[key](given))
        else:
            named = (given.get(k) for k in (key, f"d{key}", *names))
            found.append(next(t for t in named if t is not None).new_empty(0))
    return found[0] if len(found) == 1 else tuple(found)
