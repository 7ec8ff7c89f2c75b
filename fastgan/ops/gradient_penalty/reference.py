"""Both ops in plain PyTorch: documentation, fallback and test oracle."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._numerics import accumulate_dtype


def samples_are_stretches(t: Tensor) -> bool:
    """Return True if each sample of a dense ``t`` is contiguous: dimension 0 is the slowest."""
    return t.stride(0) * t.shape[0] == t.numel()


def result_like(t: Tensor) -> Tensor:
    """Return an empty result for ``t``.

    It has the strides of ``t`` if they are dense and each sample is contiguous, else it is
    contiguous.
    """
    result = torch.empty_like(t)
    return result if samples_are_stretches(result) else t.new_empty(t.shape)


def in_layout(result: Tensor) -> Tensor:
    """Return an elementwise result with the strides of :func:`result_like`."""
    return result if samples_are_stretches(result) else result.contiguous()


def per_sample(t: Tensor, like: Tensor) -> Tensor:
    """Shape ``t[N]`` to broadcast over samples of ``like[N, ...]``, in the accumulation dtype."""
    return t.to(accumulate_dtype(like.dtype))[(...,) + (None,) * (like.ndim - 1)]


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Return ``<a_n, b_n>`` over all elements of each sample, in the accumulation dtype."""
    dtype = accumulate_dtype(a.dtype)
    products = a.to(dtype) * b.to(dtype)
    # sum(()) would be over all dimensions.
    return products.sum(tuple(range(1, a.ndim))) if a.ndim > 1 else products


# ------------------------------------------------------------------------------- lerp_samples


def lerp_samples(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """Return ``alpha·real + (1 - alpha)·fake``, rounded once.

    Autograd gives derivatives of any order.
    """
    weight = per_sample(alpha, real)
    return in_layout((weight * real + (1 - weight) * fake).to(real.dtype))


def lerp_samples_backward(
    dy: Tensor, real: Tensor | None, fake: Tensor | None, alpha: Tensor, need_dreal: bool,
    need_dfake: bool, need_dalpha: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the gradients, empty where they aren't needed.

    They are ``dreal = alpha·dy``, ``dfake = (1 - alpha)·dy`` and ``dalpha = <dy, real - fake>``.
    """
    weight = per_sample(alpha, dy)
    dreal, dfake, dalpha = (dy.new_empty(0) for _ in range(3))
    if need_dreal:
        dreal = in_layout((weight * dy).to(dy.dtype))
    if need_dfake:
        dfake = in_layout(((1 - weight) * dy).to(dy.dtype))
    if need_dalpha:
        assert real is not None and fake is not None
        dalpha = inner(dy, difference(real, fake)).to(dy.dtype)
    return dreal, dfake, dalpha


def lerp_samples_double_backward(
    ddreal: Tensor | None, ddfake: Tensor | None, ddalpha: Tensor | None, dy: Tensor,
    real: Tensor | None, fake: Tensor | None, alpha: Tensor, need_ddy: bool, need_dreal: bool,
    need_dfake: bool, need_dalpha: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the second derivatives, empty where they aren't needed; None counts as zero.

    They are::

        ddy = alpha·ddreal + (1 - alpha)·ddfake + ddalpha·(real - fake)
        dreal = ddalpha·dy        dfake = -dreal        dalpha = <dy, ddreal - ddfake>
    """
    ddy, dreal, dfake, dalpha = (dy.new_empty(0) for _ in range(4))
    weight, zero = per_sample(alpha, dy), torch.zeros_like(dy)
    a, b = (zero if t is None else t for t in (ddreal, ddfake))
    if need_ddy:
        total = weight * a + (1 - weight) * b
        if ddalpha is not None:
            assert real is not None and fake is not None
            total = total + per_sample(ddalpha, dy) * difference(real, fake)
        ddy = in_like(dy, total)
    if need_dreal or need_dfake:
        assert ddalpha is not None
        along = per_sample(ddalpha, dy) * dy
        dreal = in_like(dy, along) if need_dreal else dreal
        dfake = in_like(dy, -along) if need_dfake else dfake
    if need_dalpha:
        dalpha = inner(dy, difference(a, b)).to(dy.dtype)
    return ddy, dreal, dfake, dalpha


def difference(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a - b`` in the accumulation dtype."""
    dtype = accumulate_dtype(a.dtype)
    return a.to(dtype) - b.to(dtype)


def in_like(like: Tensor, t: Tensor) -> Tensor:
    """Return ``t`` with the dtype and strides of a result for ``like``."""
    return result_like(like).copy_(t)


# ------------------------------------------------------------------------- grad_norm_penalty


def safe_norm(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Return a mask of samples of norm 0, and the norms.

    A norm of 0 is replaced by 1, so that no derivative divides by 0.
    """
    total = inner(grad, grad)
    zero = total == 0
    return zero, torch.where(zero, torch.ones_like(total), total).sqrt()


def grad_norm_penalty(grad: Tensor, center: float) -> Tensor:
    """Return ``(‖grad_n‖ - center)²``, ``[N]`` in the accumulation dtype.

    Autograd gives derivatives of any order.
    """
    if center == 0:
        return inner(grad, grad)
    zero, norm = safe_norm(grad)
    return torch.where(zero, torch.full_like(norm, center**2), (norm - center).square())


def grad_norm_penalty_with_norm(grad: Tensor, center: float) -> tuple[Tensor, Tensor]:
    """Return the penalty, and the norm, which its derivatives take."""
    return grad_norm_penalty(grad, center), _norm(grad)


def _norm(grad: Tensor) -> Tensor:
    zero, norm = safe_norm(grad)
    return torch.where(zero, torch.zeros_like(norm), norm)


def shrinkage(norm: Tensor, center: float) -> tuple[Tensor, Tensor]:
    """Return ``(1 - center/norm, center/norm)``.

    For a norm of 0 they make all derivatives 0, except those of the square (center 0).
    """
    zero = norm == 0
    ratio = torch.where(
        zero, torch.zeros_like(norm), center / torch.where(zero, torch.ones_like(norm), norm)
    )
    return (
        1 - ratio if center == 0 else torch.where(zero, torch.zeros_like(norm), 1 - ratio)
    ), ratio


def grad_norm_penalty_backward(
    dpenalty: Tensor, grad: Tensor, norm: Tensor, center: float
) -> Tensor:
    """Return ``dgrad = dpenalty · 2(1 - center/norm) · grad``."""
    keep, _ = shrinkage(norm, center)
    return in_layout((per_sample(2 * dpenalty * keep, grad) * grad).to(grad.dtype))


def grad_norm_penalty_double_backward(
    ddgrad: Tensor, dpenalty: Tensor, grad: Tensor, norm: Tensor, center: float,
    need_ddpenalty: bool, need_dgrad: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return ``ddpenalty`` and ``dgrad``, empty where they aren't needed.

    With ``d = <grad, ddgrad>`` they are::

        ddpenalty = 2(1 - center/norm)·d
        dgrad = dpenalty·(2(1 - center/norm)·ddgrad + 2·center/norm³·d·grad)
    """
    # Computed anew, as a function of grad: that counts in the third order.
    norm = _norm(grad)
    keep, ratio = shrinkage(norm, center)
    along = inner(grad, ddgrad)
    ddpenalty, dgrad = norm.new_empty(0), grad.new_empty(0)
    if need_ddpenalty:
        ddpenalty = 2 * keep * along
    if need_dgrad:
        divisor = torch.where(norm == 0, torch.ones_like(norm), norm)
        # Divide grad first, since 1/norm² of a small norm overflows.
        unit = per_sample(1 / divisor, grad) * grad
        turn = 2 * dpenalty * ratio * (along / divisor)
        dgrad = in_like(
            grad, per_sample(2 * dpenalty * keep, grad) * ddgrad + per_sample(turn, grad) * unit
        )
    return ddpenalty, dgrad
