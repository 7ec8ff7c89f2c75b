"""Eager calls of registered ops, through a lean ``torch.autograd.Function``.

A call of a registered op crosses between Python and C++ twice, and its derivative is found through
the dispatcher. That costs more host time than the kernel of a small tensor takes. Eager code
therefore calls the kernels below autograd, and a Function records the derivative.

Whatever traces or transforms gets the registered op: torch.compile, torch.export, dispatch modes,
functorch and forward-mode AD. Under torch.compile second derivatives of a Function are silently
wrong, so this is the only file that may use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fastgan._torch_private import (
    below_autograd,
    call_of,
    is_plain_eager,
    tensor_places,
    will_be_computed,
)


def _wanted(ctx: Any) -> tuple[bool, ...]:
    """Return ``ctx.needs_input_grad``, false also for gradients that this pass doesn't use.

    :func:`torch.autograd.grad` drops gradients that it wasn't asked for, such as those of weights
    in a gradient penalty. They would cost as much as the gradient of the image.
    """
    needs: tuple[bool, ...] = ctx.needs_input_grad
    # With one gradient the pass wouldn't be here unless it used that.
    if needs.count(True) < 2:
        return needs
    # Only inputs that need a gradient have a node.
    used = will_be_computed([node for node, _ in ctx.next_functions if node is not None])
    if False not in used:
        return needs
    of_needed = iter(used)
    return tuple([need and next(of_needed) for need in needs])


def lean(
    op: Any, setup_context: Callable[..., None], backward: Callable[..., tuple[Any, ...]], ops: Any
) -> Callable[..., Any]:
    """Return the function that eager code calls in place of the registered op ``op``.

    Args:
        op: the overload in ``torch.ops``. One with lists of tensors is returned itself.
        setup_context: ``(ctx, inputs, output)``, as for ``torch.library.register_autograd``.
        backward: ``(ops, ctx, *grads)``; inputs behind the last gradient have none.
        ops: the lean functions of the op's namespace, for ``backward``.
    """
    places = tensor_places(op)
    if places is None:
        return op

    direct = call_of(op)

    def forward(ctx: Any, *args: Any) -> Any:
        with below_autograd():
            output = direct(*args)
        setup_context(ctx, args, output)
        return output

    def differentiate(ctx: Any, *grads: Any) -> Any:
        needs = ctx.needs_input_grad
        ctx.needs_input_grad = _wanted(ctx)
        try:
            found = backward(ops, ctx, *grads)
            return found + (None,) * (len(needs) - len(found))
        finally:
            # The graph may be kept, and another pass may use other gradients.
            ctx.needs_input_grad = needs

    # torch makes the name of grad_fn from that of the class; the registered op has the same.
    name = "GeneratedBackwardFor_" + op.name().replace("::", "_") + "_default"
    members = {"forward": staticmethod(forward), "backward": staticmethod(differentiate)}
    apply = type(name, (torch.autograd.Function,), members).apply  # type: ignore[attr-defined]

    def call(*args: Any) -> Any:
        if not is_plain_eager():
            return op(*args)
        if torch.is_grad_enabled():
            needed = leaves = 0
            for i in places:
                if (t := args[i]) is not None and t.requires_grad:
                    needed += 1
                    leaves += t.is_leaf
            if needed:
                if needed > 1 and leaves:
                    args = _leaves_as_views(args, places)
                return apply(*args)
        with below_autograd():
            return direct(*args)

    call.__name__ = call.__qualname__ = op.name()
    return call


def _leaves_as_views(args: tuple[Any, ...], places: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the arguments with views of leaves, whose nodes answer :func:`will_be_computed`.

    The view is an alias: its node passes on the gradient itself, so that ``backward()`` sees
    whether others hold it, and copies it then.
    """
    viewed = list(args)
    for i in places:
        if (t := args[i]) is not None and t.requires_grad and t.is_leaf:
            viewed[i] = t[...]
    return tuple(viewed)
