"""scale_bias_act: scale, noise, bias, activation, gain and clamp.

The maths is in this folder's README.
"""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._activations import Options, activation_options
from fastgan.ops._checks import check_image, fitting_parameter
from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.scale_bias_act import reference, schema  # noqa: F401

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
    """Return ``clamp(gain · act(scale · x + noise + b), -clamp, +clamp)``, computed in one pass.

    It is the epilogue of a modulated convolution, differentiable to any order in ``x``, ``scale``,
    ``noise`` and ``b``. The gradient is zero where the clamp is active, for every activation. Half
    types are computed in float32 and rounded once.

    The backward pass needs ``scale``, and ``x`` with ``noise`` and ``b`` unless the slope is
    constant (``linear`` without clamp). It never needs the output.

    ::

        x, scale = torch.randn(8, 64, 32, 32), torch.rand(8, 64)
        noise, b = torch.randn(8, 1, 32, 32), torch.zeros(64)
        y = ops.scale_bias_act(x, scale, noise, b, act="lrelu", clamp=256)

    Args:
        x: ``[N, C, H, W]``; float16, bfloat16, float32 or float64. Contiguous and channels_last
            images run without a copy, and the result has their layout. Other strides are copied
            once, and the result is contiguous.
        scale: ``[N, C]``, of the dtype and device of ``x``, or None for 1. Under autocast
            ``scale``, ``noise`` and ``b`` are cast to the dtype of ``x``.
        noise: ``[N, 1, H, W]``, ``[1, 1, H, W]`` for the same noise in all images, or None for 0.
        b: ``[C]``, or None for 0.
        act: ``linear``, ``relu``, ``lrelu``, ``tanh``, ``sigmoid``, ``elu``, ``selu``,
            ``softplus`` or ``swish`` (also ``silu``).
        alpha: slope of ``lrelu`` for negative input, default 0.2; others ignore it.
        gain: factor after the activation; the default is √2 for ``relu``, ``lrelu`` and ``swish``,
            else 1.
        clamp: bound on the magnitude of the output, ≥ 0, or None for none.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``x``.

    Raises:
        TypeError: a tensor has an unsupported dtype, or another one than ``x``.
        ValueError: a shape, device, ``act``, ``alpha``, ``gain`` or ``clamp`` is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_image(x)
    options = activation_options(act, alpha, gain, clamp)
    chosen = choose_backend("scale_bias_act", x.device, backend)
    return epilogue(chosen, x, scale, noise, b, options)


def epilogue(
    chosen: str, x: Tensor, scale: Tensor | None, noise: Tensor | None, b: Tensor | None,
    options: Options,
) -> Tensor:  # fmt: skip
    """Run :func:`scale_bias_act` for an image with checked options on backend ``chosen``."""
    n, c, h, w = x.shape
    scale = fitting_parameter("scale", scale, x, (n, c))
    noise = fitting_parameter("noise", noise, x, (n, 1, h, w), (1, 1, h, w))
    b = fitting_parameter("b", b, x, (c,))
    call = reference.scale_bias_act if chosen == "reference" else ops_of(chosen).scale_bias_act
    result: Tensor = call(x, scale, noise, b, *options)
    return result
