"""The two halves of a gradient penalty: points between real and fake, and norms of gradients.

The maths is in this folder's README.
"""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.gradient_penalty import reference, schema  # noqa: F401
from fastgan.ops.gradient_penalty.arguments import check_center, check_samples, fitting

__all__ = ["grad_norm_penalty", "lerp_samples"]


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
