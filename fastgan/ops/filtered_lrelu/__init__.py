"""filtered_lrelu: the alias-free activation. The maths is in this folder's README."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.ops._activations import number
from fastgan.ops._checks import check_at_least, check_image, fitting_parameter
from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.filtered_lrelu import reference, schema  # noqa: F401
from fastgan.ops.upfirdn2d.arguments import check_filter, filtered_size, four_sides

__all__ = ["filtered_lrelu"]


def filtered_lrelu(
    x: Tensor,
    fu: Tensor | None = None,
    fd: Tensor | None = None,
    b: Tensor | None = None,
    *,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    gain: float = math.sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Apply a leaky ReLU at a higher resolution: bias, upsampling, activation, downsampling.

    A pointwise activation creates frequencies that its grid can't hold. Karras et al. 2021
    ("Alias-Free Generative Adversarial Networks") therefore upsample by ``up`` with the filter
    ``fu``, apply it there, and downsample by ``down`` with the filter ``fd``. Here that is one
    pass: the upsampled image is never stored, and no inserted zero is multiplied. Triton stores it
    for filters that aren't separable or are longer than 24 taps, and factors besides 1, 2 and 4.

    The backward pass needs two bits per pixel of the upsampled image. They say if its slope is 1,
    ``slope`` or, where the clamp is active, 0. At zero the slope is 1. The gradient is the same op
    with factors and filters exchanged, so derivatives of any order in ``x`` and ``b`` run on the
    same kernels. Half types are computed in float32 and rounded once.

    ::

        f = ops.design_lowpass(12, cutoff=8, width=16, fs=64)
        y = ops.filtered_lrelu(torch.randn(4, 64, 36, 36), f, f, up=2, down=2, padding=(11, 10) * 2)

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16, float32 or float64. Contiguous and channels_last
            images run without a copy, and the result has their layout. Other strides give a
            contiguous result.
        fu, fd: ``[taps]``, one filter for both axes; ``[taps_y, taps_x]``; or None for no filter.
            They are float32, on the device of ``x``, without gradient. :func:`design_lowpass` makes
            one.
        b: ``[C]``, of the dtype and device of ``x``, or None. It is added to ``x`` before the
            padding. Under autocast it is cast to the dtype of ``x``.
        up: factor of upsampling. The upsampled image is multiplied by ``up²``, since the inserted
            zeros darken it.
        down: factor of downsampling.
        padding: padding of all sides, ``(x, y)``, or ``(x0, x1, y0, y1)`` for left, right, top and
            bottom. Its unit is a pixel of the upsampled image; negative values crop.
        gain: factor before the activation, above 0.
        slope: slope of the activation below 0, at least 0.
        clamp: bound on the magnitude behind the activation, at least 0, or None for none.
        flip_filter: correlate with both filters instead of convolving.
        backend: as in :func:`fastgan.ops.bias_act`.

    Returns:
        ``[N, C, H', W']`` of the dtype of ``x``, under autocast too. The sizes are::

            H' = (H·up + y0 + y1 - (fu_y - 1) - fd_y) // down + 1
            W' = (W·up + x0 + x1 - (fu_x - 1) - fd_x) // down + 1

    Raises:
        TypeError: ``x``, ``b`` or a filter isn't a tensor of a supported dtype, their dtypes
            differ, or a padding is no whole number.
        ValueError: a shape, device, factor or setting is out of range, a filter requires a
            gradient, or the result would be empty.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_image(x)
    check_filter(fu, x.device, "fu")
    check_filter(fd, x.device, "fd")
    b = fitting_parameter("b", b, x, (x.shape[1],))
    check_at_least(1, up=up, down=down)
    gain, slope = float(gain), float(slope)
    gain, slope, clamp = _checked_settings(gain, slope, clamp)
    taps = reference.axis_taps(fu), reference.axis_taps(fd)
    pad, size = filtered_size((x.shape[3], x.shape[2]), *taps, up, down, four_sides(padding))
    settings = up, down, pad, size, gain * up * up, slope, clamp, bool(flip_filter)
    chosen = choose_backend("filtered_lrelu", x.device, backend)
    if chosen == "reference":
        return reference.plain(x, b, fu, fd, *settings)
    trained = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, b))
    result: Tensor = ops_of(chosen).filtered_lrelu(x, b, fu, fd, *settings, trained)[0]
    return result


def _checked_settings(
    gain: float, slope: float, clamp: float | None
) -> tuple[float, float, float | None]:
    gain, slope = number("gain", gain), number("slope", slope)
    clamp = None if clamp is None else number("clamp", clamp)
    if not 0 < gain < math.inf:
        raise ValueError(f"gain must be a finite number above 0, got {gain}")
    if not 0 <= slope < math.inf:
        raise ValueError(f"slope must be a finite number of at least 0, got {slope}")
    if clamp is not None and not clamp >= 0:
        raise ValueError(f"clamp must be at least 0, or None for no clamp, got {clamp}")
    return gain, slope, clamp
