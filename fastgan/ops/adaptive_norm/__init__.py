"""adaptive_norm: normalisation, scale, shift, activation, gain and clamp.

The maths is in this folder's README.
"""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._activations import torch_activation_options
from fastgan.ops._checks import fitting_parameter
from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.adaptive_norm import reference, schema  # noqa: F401
from fastgan.ops.adaptive_norm.arguments import (
    alike,
    check_image,
    check_setting,
    modulation,
    statistics,
)

__all__ = ["adaptive_norm", "adaptive_norm_with_stats"]


def adaptive_norm(
    x: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    over: str = "sample",
    mean: Tensor | None = None,
    var: Tensor | None = None,
    act: str = "linear",
    alpha: float | None = None,
    gain: float = 1.0,
    clamp: float | None = None,
    eps: float = 1e-5,
    residual: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Normalise, scale, shift and activate ``x``, and add ``residual``.

    It returns ``clamp(gain · act(v), -clamp, +clamp) + residual`` with
    ``v = (x - mean)·rsqrt(var + eps)·(1 + scale) + shift``. So it is:

    - instance norm and AdaIN (Huang & Belongie 2017), over the positions of each sample;
    - batch norm and conditional batch norm (de Vries et al. 2017), over samples and positions;
    - SPADE (Park et al. 2019), with a scale and a shift for each position.

    It is differentiable to any order in all tensors, and through mean and variance. The variance is
    the biased one. Half types are computed in float32 and rounded once. The backward pass needs
    ``x``, mean, variance, ``scale`` and ``shift``, but neither the normalised image nor the output.

    Statistics of half types are float32. The mean of a few elements is subtracted before squares
    are added up, so images far from zero lose no digits.

    ::

        x, scale, shift = torch.randn(8, 64, 32, 32), torch.zeros(8, 64), torch.zeros(8, 64)
        y = ops.adaptive_norm(x, scale, shift, act="relu")  # AdaIN and relu
        # [C] each, for running averages; then evaluation with them
        y, mean, var = ops.adaptive_norm_with_stats(x, scale, shift, over="batch")
        y = ops.adaptive_norm(x, scale, shift, mean=mean, var=var)

    The layers are :class:`fastgan.layers.InstanceNormAct2d`,
    :class:`fastgan.layers.BatchNormAct2d`, :class:`fastgan.layers.AdaIN`,
    :class:`fastgan.layers.ConditionalBatchNorm2d` and :class:`fastgan.layers.SPADE`.

    Args:
        x: ``[N, C, *]``; float16, bfloat16, float32 or float64. Contiguous and (of rank 4)
            channels_last images run without a copy, and the result has their layout. Other strides
            are copied once, and the result is contiguous.
        scale: ``[C]``, ``[N, C]``, or the shape of ``x``; of the dtype and device of ``x``; None
            for 0. Under autocast ``scale`` and ``shift`` are cast to the dtype of ``x``.
        shift: as ``scale``. If one of the two has the shape of ``x``, the other is expanded to it,
            and plain PyTorch computes their second derivatives.
        over: ``"sample"`` for mean and variance over the positions of each sample and channel,
            ``"batch"`` over all samples and positions of each channel.
        mean, var: ``[C]`` or ``[N, C]``, used in place of those of ``x``; both or neither. Their
            dtype is that of ``x`` or, for half types, float32. They have gradients. With them
            ``over`` has no effect.
        act: ``linear``, ``relu``, ``lrelu``, ``tanh``, ``sigmoid``, ``elu``, ``selu``,
            ``softplus`` or ``swish`` (also ``silu``).
        alpha: slope of ``lrelu`` for negative input, default 0.2; others ignore it.
        gain: factor after the activation, 1 by default for every activation.
        clamp: bound on the magnitude of the output, ≥ 0, or None for none. The gradient is zero
            where it is active.
        eps: term added to the variance, > 0.
        residual: tensor of the shape, dtype and device of ``x``, or None for 0. It is added after
            the clamp, in the same pass. Under autocast it is cast to the dtype of ``x``.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``x``.

    Raises:
        TypeError: a tensor has an unsupported dtype, or another one than ``x``; or ``eps`` or
            ``gain`` is no number.
        ValueError: a shape, device, ``over``, ``eps``, ``act``, ``alpha``, ``gain`` or ``clamp`` is
            out of range, or one of ``mean`` and ``var`` is missing.
        BackendUnavailable: the backend that was named cannot run here.
    """
    return _run(x, scale, shift, over, mean, var, act, alpha, gain, clamp, eps, residual, backend)[
        0
    ]


def adaptive_norm_with_stats(
    x: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
    *,
    over: str = "batch",
    act: str = "linear",
    alpha: float | None = None,
    gain: float = 1.0,
    clamp: float | None = None,
    eps: float = 1e-5,
    residual: Tensor | None = None,
    backend: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run :func:`adaptive_norm` and return mean and variance too, for running averages.

    Args:
        x, scale, shift, over, act, alpha, gain, clamp: as for :func:`adaptive_norm`.
        eps, residual, backend: as for :func:`adaptive_norm`.

    Returns:
        ``(y, mean, var)``. Mean and biased variance are ``[C]`` over a batch and ``[N, C]`` over
        samples, in float64 for float64, else float32. They have no gradient, and are zero for empty
        tensors.

    Raises:
        TypeError, ValueError, BackendUnavailable: as :func:`adaptive_norm`.
    """
    y, mean, var = _run(
        x, scale, shift, over, None, None, act, alpha, gain, clamp, eps, residual, backend
    )
    if over == "batch":
        mean, var = mean[0], var[0]
    return y, mean.detach(), var.detach()


def _run(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, over: str, mean: Tensor | None,
    var: Tensor | None, act: str, alpha: float | None, gain: float, clamp: float | None, eps: float,
    residual: Tensor | None, backend: str | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    check_image(x)
    check_setting(over, eps)
    scale, shift = alike(modulation("scale", scale, x), modulation("shift", shift, x))
    residual = fitting_parameter("residual", residual, x, tuple(x.shape))
    mean, var = statistics(mean, var, x)
    settings = torch_activation_options(act, alpha, gain, clamp)
    chosen = choose_backend("adaptive_norm", x.device, backend)
    over = over if mean is None else "given"
    run = reference.adaptive_norm if chosen == "reference" else ops_of(chosen).adaptive_norm
    scale, shift = (t if t is None or t.ndim == 2 else _image(t) for t in (scale, shift))
    residual = residual if residual is None else _image(residual)
    y, *found = run(_image(x), scale, shift, mean, var, residual, over, eps, *settings)
    # No view if the shape fits: that of a single channels_last image would count as contiguous.
    return y if x.ndim == 4 else y.reshape(x.shape), *found


def _image(t: Tensor) -> Tensor:
    """Reshape to rank 4."""
    return t if t.ndim == 4 else t[..., None, None] if t.ndim == 2 else t.flatten(2)[..., None]
