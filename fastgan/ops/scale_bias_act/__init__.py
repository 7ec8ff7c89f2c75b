"""scale_bias_act: scale, noise, bias, activation, gain and clamp in one pass. The maths is in this folder's README."""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._activations import activation_options
from fastgan.ops._checks import check_input, fitting_parameter
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.scale_bias_act import reference, schema  # noqa: F401 - importing schema registers the ops

__all__ = ["scale_bias_act"]


def scale_bias_act(
    x: Tensor,
    scale: Tensor | None = None,
    noise: Tensor | None = None,
    b: Tensor | None = None,
    *,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    backend: str | None = None,
) -> Tensor:
    """``y = clamp(gain · act(scale · x + noise + b), -clamp, +clamp)`` in one pass: the epilogue of a modulated convolution.

    Differentiable to any order in ``x``, ``scale``, ``noise`` and ``b``. The gradient is zero where the clamp is active,
    for every activation. Half types are computed in float32 and rounded once. For backward ``scale`` is saved, and ``x``
    with ``noise`` and ``b`` unless the slope is the same everywhere (``linear`` without clamp); never the output.

    Args:
        x: ``[N, C, H, W]``; float16, bfloat16, float32 or float64. Contiguous and channels_last run as they are and the
            result has the same layout; any other strides are copied once, and the result is contiguous.
        scale: ``[N, C]``, of the dtype and device of ``x``, or None for 1. Under autocast ``scale``, ``noise`` and ``b`` are
            cast to the dtype of ``x``: the op runs in the dtype that ``x`` comes in.
        noise: ``[N, 1, H, W]``, or ``[1, 1, H, W]`` for all images alike, or None for 0.
        b: ``[C]``, or None for 0.
        act: ``linear``, ``relu``, ``lrelu``, ``tanh``, ``sigmoid``, ``elu``, ``selu``, ``softplus`` or ``swish``.
        alpha: slope of ``lrelu`` for negative input, default 0.2; the other activations have none and ignore it.
        gain: factor after the activation; default √2 for ``relu``, ``lrelu``, ``swish``, else 1.
        clamp: bound on the magnitude of the output, ≥ 0, or None for none.
        backend: ``reference``, ``cpu``, ``triton``, ``cuda``, or None for ``use_backend``, then the environment
            variable ``FASTGAN_BACKEND``, then automatic. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``x``.

    Raises:
        TypeError: a tensor is of an unsupported dtype, or its dtype is not that of ``x``.
        ValueError: shape, device, ``act``, ``alpha``, ``gain`` or ``clamp`` is out of range.
        BackendUnavailable: the backend asked for by name cannot run here.
    """
    check_input(x)
    if x.ndim != 4:
        raise ValueError(f"x must have shape [N, C, H, W], got {list(x.shape)}")
    n, c, h, w = x.shape
    scale = fitting_parameter("scale", scale, x, [n, c])
    noise = fitting_parameter("noise", noise, x, [n, 1, h, w], [1, 1, h, w])
    b = fitting_parameter("b", b, x, [c])
    act, alpha, gain, clamp = activation_options(act, alpha, gain, clamp)
    chosen = choose_backend("scale_bias_act", x.device, backend)
    if chosen == "reference":
        return reference.scale_bias_act(x, scale, noise, b, act, alpha, gain, clamp)
    return ops_of(chosen).scale_bias_act(x, scale, noise, b, act, alpha, gain, clamp)
