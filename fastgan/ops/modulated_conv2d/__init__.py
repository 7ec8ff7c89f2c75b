"""modulated_conv2d: the convolution of a style-based generator.

The maths is in this folder's README.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.ops._activations import activation_options
from fastgan.ops._checks import (
    as_dtype,
    check_device,
    check_input,
    fitting_parameter,
    under_autocast,
)
from fastgan.ops._layout import memory_format
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.conv2d.convolve import by_winograd
from fastgan.ops.conv2d_resample import resample
from fastgan.ops.conv2d_resample.arguments import check_size, resampling_factor
from fastgan.ops.modulated_conv2d.fused import fused_suits, run_fused, set_fused_modulation
from fastgan.ops.modulation_factors import modulation_factors, reference
from fastgan.ops.upfirdn2d.arguments import check_filter, four_sides

__all__ = ["modulated_conv2d", "set_fused_modulation"]


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    *,
    noise: Tensor | None = None,
    bias: Tensor | None = None,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    demodulate: bool = True,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] | None = None,
    resample_filter: Tensor | None = None,
    flip_weight: bool = True,
    input_gain: float | Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """Convolve with weights that are scaled per sample, and add noise, bias and activation.

    It returns ``clamp(gain · act(d · conv(x, w') + noise + bias))`` (Karras et al. 2020, section
    2.2), with ``w'[n,o,i,k] = weight[o,i,k]·styles[n,i]`` and ``d[n,o] = (Σ w'² + 1e-8)^-½``. It
    resamples by ``up`` and ``down``, and is differentiable to any order.

    The styles scale the image and ``d`` the result. So all samples share one convolution and no
    weights are written per sample. On the CPU, in float32, a 3x3 kernel runs by Winograd's
    algorithm, which applies the styles and, without a gradient, the epilogue too. See
    :func:`fastgan.ops.conv2d`. Elsewhere the convolution is torch's, and the epilogue is one pass
    of :func:`fastgan.ops.scale_bias_act`.

    In half types, weights are first divided by their norm per output channel, and styles by the
    largest one per sample. These constants cancel, and neither products nor sums overflow at styles
    of 1e4. The layer is :class:`fastgan.layers.ModulatedConv2d`.

    ::

        x, weight = torch.randn(4, 64, 32, 32), torch.randn(64, 64, 3, 3)
        styles, noise = torch.rand(4, 64) + 0.5, torch.randn(4, 1, 32, 32)
        y = ops.modulated_conv2d(x, weight, styles, noise=noise, act="lrelu", clamp=256)
        f = ops.setup_filter([1, 3, 3, 1])
        y = ops.modulated_conv2d(x, weight, styles, up=2, resample_filter=f)  # [4, 64, 64, 64]

    :func:`set_fused_modulation` allows one fused kernel without a gradient on a GPU.

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16, float32 or float64. Under autocast float32 is cast
            to the half type.
        weight: ``[O, C, kh, kw]``, of the dtype of ``x``, or float32 if ``x`` has a half type.
        styles: ``[N, C]``, as ``weight``.
        noise: ``[N, 1, H', W']``, ``[1, 1, H', W']`` or ``[H', W']``, or None.
        bias: ``[O]`` or None. It and ``noise`` are cast to the dtype of ``x``.
        act, alpha, gain, clamp: as in :func:`fastgan.ops.bias_act`.
        demodulate: multiply by ``d``.
        up, down, flip_weight: as in :func:`fastgan.ops.conv2d_resample`.
        padding: as in :func:`fastgan.ops.conv2d_resample`. None means half the kernel, so that an
            odd kernel gives ``H·up // down``.
        resample_filter: filter as ``f`` in :func:`fastgan.ops.conv2d_resample`. Without one, ``up``
            only inserts zeros.
        input_gain: a number, ``[C]`` or ``[N, C]`` that scales ``x`` without an effect on ``d``
            (Karras et al. 2021, appendix B).
        backend: as in :func:`fastgan.ops.bias_act`, for every step.

    Returns:
        ``[N, O, H', W']`` of the dtype of ``x``, in the layout of ``x``.

    Raises:
        TypeError: a tensor isn't of a supported dtype.
        ValueError: a shape, device or setting is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_input(x)
    if x.dtype == torch.float32 and under_autocast(x):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    _check(x, weight, styles)
    if isinstance(input_gain, Tensor) and list(input_gain.shape) not in (
        [],
        [x.shape[1]],
        list(x.shape[:2]),
    ):
        raise ValueError(
            f"input_gain must be a number or have shape [{x.shape[1]}] or {list(x.shape[:2])}, "
            f"got {list(input_gain.shape)}"
        )
    options = activation_options(act, alpha, gain, clamp)
    noise = noise[None, None] if isinstance(noise, Tensor) and noise.ndim == 2 else noise
    noise, bias = _cast("noise", noise, x.dtype), _cast("bias", bias, x.dtype)
    if padding is None:
        x_side, y_side = weight.shape[3] // 2, weight.shape[2] // 2
        sides = (x_side, x_side, y_side, y_side)
    else:
        sides = four_sides(padding)
    up, down = resampling_factor("up", up), resampling_factor("down", down)
    check_size(x.shape, weight.shape, up, down, sides)
    check_filter(resample_filter, x.device)
    chosen = choose_backend("modulated_conv2d", x.device, backend)
    # A transposed convolution reverses its weight.
    flip = bool(flip_weight) == (up > 1) and weight.shape[2:].numel() > 1
    last = memory_format(x) == torch.channels_last
    weight, styles, scale = _factors(
        chosen, x.dtype, weight, styles, input_gain, demodulate, last, flip
    )

    tensors = (x, weight, styles, scale, noise, bias)
    trained = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    if not trained and up == down == 1:
        pads = (sides[2], sides[0])
        fused = fused_suits(chosen, x, weight, sides)
        even = pads == (sides[3], sides[1]) and min(sides) >= 0
        if fused or (even and by_winograd(chosen, x, weight, (1, 1), pads, (1, 1), 1)):
            size = [x.shape[2 + i] + 2 * pads[i] - weight.shape[2 + i] + 1 for i in (0, 1)]
            noise = fitting_parameter("noise", noise, x, (x.shape[0], 1, *size), (1, 1, *size))
            bias = fitting_parameter("bias", bias, x, (weight.shape[0],))
            tensors = (x, weight, styles, scale, noise, bias)
            if fused:
                return run_fused(*tensors, *options)
            return ops_of(chosen).winograd_conv2d_act(*tensors, *pads, *options)
    return resample(
        chosen, x, weight, styles, resample_filter,
        up=up, down=down, sides=sides, groups=1, flip_weight=up == 1, flip_filter=False,
        after=(scale, noise, bias, options),
    )  # fmt: skip


def _factors(
    chosen: str, dtype: torch.dtype, weight: Tensor, styles: Tensor, gain: float | Tensor | None,
    demodulate: bool, channels_last: bool, flip: bool,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """Return ``(weight, styles, scale)`` of ``dtype`` for ``scale · conv(x · styles, weight)``.

    The scale ``[N, O]`` is None for 1.
    """
    half = dtype in (torch.float16, torch.bfloat16)
    if half:
        weight, styles = as_dtype(weight, torch.float32), as_dtype(styles, torch.float32)
    elif chosen == "cpu" or not demodulate:
        # On the CPU, kernels would save little beside the convolution.
        scale = None
        if demodulate:
            squares = reference.squares_of(weight)
            scale = reference.demodulation(squares, styles, None, None, dtype)
        styles = styles if gain is None else styles * gain
        return weight.flip(2, 3) if flip else weight, as_dtype(styles, dtype), scale
    if gain is not None and not isinstance(gain, Tensor):
        gain = styles.new_full((), gain)
    if gain is not None:
        gain = as_dtype(gain, styles.dtype)
    return modulation_factors(
        chosen, weight, styles, gain, dtype=dtype, demodulate=demodulate, normalize=half,
        channels_last=channels_last, flip=flip,
    )  # fmt: skip


def _cast(name: str, t: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    if t is None or (isinstance(t, Tensor) and t.dtype == dtype):
        return t
    check_input(t, name)
    return as_dtype(t, dtype)


def _check(x: Tensor, weight: Tensor, styles: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(f"x must have shape [N, C, H, W], got {list(x.shape)}")
    half = x.dtype in (torch.float16, torch.bfloat16)
    for name, t in (("weight", weight), ("styles", styles)):
        check_input(t, name)
        if t.dtype != x.dtype and not (half and t.dtype == torch.float32):
            raise TypeError(
                f"{name} must have the dtype of x, {x.dtype}, or be float32 with an x of a half "
                f"type, got {t.dtype}"
            )
        check_device(name, t, x)
    if weight.ndim != 4 or weight.shape[1] != x.shape[1]:
        raise ValueError(
            f"weight must have shape [O, {x.shape[1]}, kh, kw] for this x, got {list(weight.shape)}"
        )
    if list(styles.shape) != list(x.shape[:2]):
        raise ValueError(
            f"styles must have shape {list(x.shape[:2])}, [N, C] of x, got {list(styles.shape)}"
        )
