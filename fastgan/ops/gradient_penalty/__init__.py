"""The two halves of a gradient penalty: points between real and fake, and norms of gradients.

The maths is in this folder's README.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastgan.ops._family import define_family
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops._numerics import accumulate_dtype
from fastgan.ops.gradient_penalty import reference
from fastgan.ops.gradient_penalty.arguments import check_center, check_samples, fitting
from fastgan.ops.gradient_penalty.reference import result_like

__all__ = ["grad_norm_penalty", "lerp_samples"]


def _lerp_saved(needs: Sequence[bool], y: Tensor, real: Tensor, fake: Tensor, alpha: Tensor) -> Any:
    return (real, fake, alpha) if needs[2] else (None, None, alpha)


def _lerp_needed(wanted: Sequence[bool], directions: Any, settings: Any) -> tuple[bool, ...]:
    need_ddy, need_dreal, need_dfake, need_dalpha = wanted
    ddreal, ddfake, ddalpha = directions
    given = ddalpha is not None
    moved = ddreal is not None or ddfake is not None
    return need_ddy, need_dreal and given, need_dfake and given, need_dalpha and moved


define_family(
    "lerp_samples(Tensor real, Tensor fake, Tensor alpha) -> Tensor y",
    reference,
    "fastgan.ops.gradient_penalty",
    saved="Tensor? real, Tensor? fake, Tensor alpha",
    save=_lerp_saved,
    flags=("dreal dfake dalpha", "ddy dreal dfake dalpha"),
    needed=_lerp_needed,
    like={
        "y": lambda given: result_like(given.real if given.dy is None else given.dy),
        "real": lambda given: result_like(given.dy),
        "fake": lambda given: result_like(given.dy),
        "alpha": lambda given: given.alpha.new_empty(given.alpha.shape),
    },
)


def _per_sample(grad: Tensor) -> Tensor:
    return grad.new_empty(grad.shape[0], dtype=accumulate_dtype(grad.dtype))


define_family(
    "grad_norm_penalty(Tensor grad, float center) -> (Tensor penalty, Tensor norm)",
    reference,
    "fastgan.ops.gradient_penalty",
    kernel=reference.grad_norm_penalty_with_norm,
    saved="Tensor grad, Tensor norm",
    save=lambda needs, results, grad, center: (grad, results[1]),
    like={
        "penalty": lambda given: _per_sample(given.grad),
        "norm": lambda given: _per_sample(given.grad),
        "grad": lambda given: result_like(given.grad),
    },
)


def lerp_samples(
    real: Tensor, fake: Tensor, alpha: Tensor, *, backend: str | None = None
) -> Tensor:
    """Return ``alpha_n · real_n + (1 - alpha_n) · fake_n`` for each sample, computed in one pass.

    WGAN-GP takes its gradient at these points (Gulrajani et al. 2017). The op is differentiable to
    any order in all three, and computes only the gradients that are needed. Half types are computed
    in float32 and rounded once. The backward pass needs ``alpha``, and also ``real`` and ``fake``
    if ``alpha`` needs a gradient.

    Args:
        real: ``[N, ...]``; float16, bfloat16, float32 or float64. Layouts whose samples are
            contiguous in memory (contiguous, channels_last) run without a copy, and the result has
            their strides. Others are copied once, and the result is contiguous.
        fake: tensor of the shape, dtype and device of ``real``. Under autocast ``fake`` and
            ``alpha`` are cast to the dtype of ``real``.
        alpha: ``[N]``, one weight per sample, usually uniform in [0, 1]; of the dtype and device of
            ``real``.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``real``.

    Raises:
        TypeError: a tensor has an unsupported dtype, or another one than ``real``.
        ValueError: a shape or a device doesn't fit ``real``.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_samples("real", real)
    fake = fitting("fake", fake, real, list(real.shape))
    alpha = fitting("alpha", alpha, real, [real.shape[0]])
    chosen = choose_backend("lerp_samples", real.device, backend)
    if chosen == "reference":
        return reference.lerp_samples(real, fake, alpha)
    return ops_of(chosen).lerp_samples(real, fake, alpha)


def grad_norm_penalty(
    grad: Tensor, *, center: float = 1.0, squared: bool = False, backend: str | None = None
) -> Tensor:
    """Return ``(‖grad_n‖₂ - center)²`` for each sample, or ``‖grad_n‖₂²``.

    These are the terms of WGAN-GP, and of R1, R2 and path length. The norm is over all elements of
    a sample. The op is differentiable to any order in ``grad``. Forward and first derivative are
    one pass over memory each, and so is the second if a sample fits into the cache. A sample of
    norm 0 gives ``center²`` and derivatives of zero; with ``squared``, those of the square.

    ::

        real, fake = torch.randn(8, 3, 32, 32), torch.randn(8, 3, 32, 32)
        critic = torch.nn.Conv2d(3, 1, 32)
        between = ops.lerp_samples(real, fake, torch.rand(8)).requires_grad_()
        scores = critic(between).sum()
        (grad,) = torch.autograd.grad(scores, between, create_graph=True)
        penalty = 10 * ops.grad_norm_penalty(grad).mean()  # WGAN-GP; squared=True for R1
        penalty.backward()

    Args:
        grad: ``[N, ...]``; float16, bfloat16, float32 or float64. Usually it is
            ``torch.autograd.grad(scores.sum(), images, create_graph=True)[0]``. Layouts whose
            samples are contiguous in memory (contiguous, channels_last) run without a copy; others
            are copied once.
        center: norm without penalty, finite and ≥ 0: 1 for WGAN-GP (Gulrajani et al. 2017), 0 for
            zero-centred penalties (Mescheder et al. 2018).
        squared: return ``‖grad_n‖²`` and ignore ``center``, as for ``center=0``.
        backend: as for :func:`lerp_samples`.

    Returns:
        Tensor ``[N]``, float64 for float64, else float32. The square of a norm over 256 would
        exceed float16.

    Raises:
        TypeError: ``grad`` has an unsupported dtype, or ``center`` is no number.
        ValueError: ``grad`` is a scalar tensor, or ``center`` is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_samples("grad", grad)
    check_center(center)
    center = 0.0 if squared else float(center)
    chosen = choose_backend("grad_norm_penalty", grad.device, backend)
    if chosen == "reference":
        return reference.grad_norm_penalty(grad, center)
    penalty, _ = ops_of(chosen).grad_norm_penalty(grad, center)
    return penalty
