"""Evaluation of an op with its derivatives, and comparison with the float64 reference."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Results = dict[str, Tensor | None]
#: glibc's option to fill memory with the complement of a byte.
_M_PERTURB = -6


@contextlib.contextmanager
def poisoned_memory() -> Iterator[None]:
    """Fill fresh memory with NaN, so that an element that a kernel doesn't write is noticed."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with _filled(), _perturbed():
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextlib.contextmanager
def _filled() -> Iterator[None]:
    settings: Any = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    settings.fill_uninitialized_memory = True
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = before


@contextlib.contextmanager
def _perturbed() -> Iterator[None]:
    """Let glibc fill memory with NaN; native kernels don't take the memory that torch fills."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_PERTURB, 0x100)
    try:
        yield
    finally:
        mallopt(_M_PERTURB, 0)


def _cotangent(like: Tensor, seed: int) -> Tensor:
    """Draw values that depend on shape and seed alone, with the strides of ``like``."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    # Rounded to float16 and bfloat16, so that every dtype holds the same values exactly.
    return torch.empty_like(like).copy_(values.half().bfloat16())


def evaluate(
    op: Callable[..., Tensor],
    tensors: Sequence[Tensor | None],
    options: dict[str, Any],
    *,
    order: int,
) -> Results:
    """Return the result of ``op`` and its derivatives along fixed random directions.

    Args:
        order: highest order of derivative: 0, 1 or 2.

    Returns:
        ``{"y": ..., "d0": ..., "d1": ..., "dd0": ..., "dd1": ..., "ddy": ...}``. ``d<i>`` is the
        gradient in tensor ``i``. ``dd<i>`` is the gradient in it of the first gradients, and
        ``ddy`` their gradient in the incoming gradient. Missing ones are None.
    """
    leaves = [None if t is None else t.detach().requires_grad_(order > 0) for t in tensors]
    y = op(*leaves, **options)
    results: Results = {"y": y.detach()}
    if order == 0:
        return results
    inputs = [t for t in leaves if t is not None]
    names = [str(i) for i, t in enumerate(leaves) if t is not None]
    dy = _cotangent(y, 1).requires_grad_(order > 1)
    first = torch.autograd.grad(y, inputs, dy, create_graph=order > 1)
    results |= {f"d{name}": g.detach() for name, g in zip(names, first)}
    if order > 1:
        directions = [_cotangent(g, 2 + i) for i, g in enumerate(first)]
        second = torch.autograd.grad(first, [dy, *inputs], directions, allow_unused=True)
        results |= {key: g for key, g in zip(["ddy", *(f"dd{n}" for n in names)], second)}
    return results


def first_mismatch(found: Results, expected: Results, tolerance: float) -> str | None:
    """Describe the first result that differs by more than ``tolerance``, or return None."""
    for name, want in expected.items():
        have = found[name]
        if have is None or want is None:
            # A missing gradient counts as zero.
            rest = want if have is None else have
            if rest is not None and rest.numel() and rest.abs().max() > 0:
                largest = rest.abs().max()
                return f"{name}: one side has no gradient, the other one up to {largest:.3g}"
            continue
        if have.shape != want.shape:
            return f"{name}: shape {list(have.shape)}, expected {list(want.shape)}"
        if not want.numel():
            continue
        error = (have.double().cpu() - want.cpu()).abs()
        bound = tolerance * max(want.abs().max().item(), 1e-3)
        # NaN fails too.
        if not bool((error <= bound).all()):
            worst = torch.where(error.isnan(), torch.full_like(error, torch.inf), error).argmax()
            return (
                f"{name}: element {int(worst)} is {have.flatten()[worst].item():.8g}, expected "
                f"{want.flatten()[worst].item():.8g}; {int((~(error <= bound)).sum())} of "
                f"{want.numel()} are off by more "
                f"than {bound:.3g}"
            )
    return None
