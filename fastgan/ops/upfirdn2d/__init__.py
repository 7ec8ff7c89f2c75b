"""upfirdn2d: upsample, filter and downsample. The maths is in this folder's README."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastgan.ops._checks import check_image
from fastgan.ops._define import define
from fastgan.ops._layout import image_like
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.upfirdn2d import reference
from fastgan.ops.upfirdn2d.arguments import (
    Pair,
    Sides,
    check_filter,
    four_sides,
    places_and_size,
    xy_pair,
)
from fastgan.ops.upfirdn2d.filters import design_lowpass, setup_filter

__all__ = [
    "design_lowpass",
    "downsample2d",
    "filter2d",
    "setup_filter",
    "upfirdn2d",
    "upsample2d",
]


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, f, up, down, pad, _, flip, gain = inputs
    taps = reference.axis_taps(f)
    before = (taps[0] - 1 - pad[0], taps[1] - 1 - pad[1])
    ctx.settings = down, up, before, (x.shape[3], x.shape[2]), not flip, gain
    ctx.save_for_backward(f)


def _backward(ops: Any, ctx: Any, dy: Tensor) -> tuple[Tensor]:
    return (ops.upfirdn2d(dy, *ctx.saved_tensors, *ctx.settings),)


# The registered op takes the size of its output instead of the padding behind the image. So its
# gradient is the same op with up and down exchanged, the filter reversed and taps - 1 - pad before
# the image. A derivative of any order runs on the forward kernels.
define(
    "upfirdn2d(Tensor x, Tensor? f, int[] up, int[] down, int[] pad, SymInt[] size, bool flip, "
    "float gain) -> Tensor",
    reference,
    fake=lambda x, f, up, down, pad, size, *rest: image_like(x, (size[1], size[0])),
    setup_context=_context,
    backward=_backward,
    triton="fastgan.ops.upfirdn2d",
)


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: int | Sequence[int] = 1,
    down: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    backend: str | None = None,
) -> Tensor:
    """Insert zeros, pad, filter and keep every ``down``-th pixel, in one pass.

    ``up - 1`` zeros go after each pixel, then ``padding`` around the image. It is convolved with
    ``f`` and every ``down``-th pixel is kept. That resamples it by ``up / down`` with a filter
    against imaging and aliasing (Oppenheim & Schafer, chapter 4). Karras et al. 2020 and 2021 show
    its effect in a GAN.

    No inserted zero is multiplied and no intermediate image is written. Half types are computed in
    float32 and rounded once. The op is differentiable to any order in ``x``: the gradient is again
    an upfirdn2d, so every order runs on the kernels of the first.

    ::

        x = torch.randn(8, 64, 32, 32)
        f = ops.setup_filter([1, 3, 3, 1])  # float32, sums to 1; .to(device) for a GPU
        y = ops.upsample2d(x, f)  # [N, C, 2H, 2W]: zeros in, filter, brightness kept
        y = ops.downsample2d(x, f)  # [N, C, H // 2, W // 2]
        y = ops.filter2d(x, f)  # [N, C, H, W]: a blur
        # Factors are (x, y), and padding is (x0, x1, y0, y1).
        y = ops.upfirdn2d(x, f, up=(3, 1), down=2, padding=(2, 1, 0, 3))

    The layers are :class:`fastgan.layers.Blur`, :class:`fastgan.layers.Upsample2d` and
    :class:`fastgan.layers.Downsample2d`.

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16, float32 or float64. Contiguous and channels_last
            images run without a copy, and the result has their layout. Other strides give a
            contiguous result.
        f: ``[taps]``, one filter for both axes; ``[taps_y, taps_x]``; or None for no filter. It is
            float32, on the device of ``x``, without gradient. :func:`setup_filter` makes one.
        up, down: factor of both axes, or ``(x, y)``.
        padding: padding of all sides, ``(x, y)``, or ``(x0, x1, y0, y1)`` for left, right, top and
            bottom. Its unit is a pixel of the upsampled image; negative values crop.
        flip_filter: correlate with ``f`` instead of convolving.
        gain: factor of the result.
        backend: as in :func:`fastgan.ops.bias_act`.

    Returns:
        ``[N, C, H', W']`` of the dtype of ``x``, under autocast too. The sizes are::

            H' = (H·up + y0 + y1 - taps_y) // down + 1
            W' = (W·up + x0 + x1 - taps_x) // down + 1

    Raises:
        TypeError: ``x`` or ``f`` isn't a tensor of a supported dtype, or a factor or padding is no
            whole number.
        ValueError: a shape, device or factor is out of range, ``f`` requires a gradient, or the
            result would be empty.
        BackendUnavailable: the backend that was named cannot run here.
    """
    factors = xy_pair("up", up), xy_pair("down", down)
    return resampled(x, f, *factors, four_sides(padding), flip_filter, gain, backend)


def resampled(
    x: Tensor, f: Tensor | None, up: Pair, down: Pair, sides: Sides, flip_filter: bool,
    gain: float, backend: str | None, centred: bool = False,
) -> Tensor:  # fmt: skip
    """Return :func:`upfirdn2d` for pairs ``(x, y)`` of factors and for four sides.

    With ``centred``, the sides are in addition to those that centre the result.
    """
    check_image(x)
    check_filter(f, x.device)
    gain = float(gain)
    if not -math.inf < gain < math.inf:
        raise ValueError(f"gain must be a finite number, got {gain}")
    pixels = (x.shape[3], x.shape[2])
    pad, size = places_and_size(pixels, reference.axis_taps(f), up, down, sides, centred)
    chosen = choose_backend("upfirdn2d", x.device, backend)
    call = reference.upfirdn2d if chosen == "reference" else ops_of(chosen).upfirdn2d
    result: Tensor = call(x, f, up, down, pad, size, bool(flip_filter), gain)
    return result


def filter2d(
    x: Tensor,
    f: Tensor | None,
    *,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    backend: str | None = None,
) -> Tensor:
    """Filter an image by :func:`upfirdn2d`, padded with zeros so that its size stays.

    Args:
        padding: as in :func:`upfirdn2d`, in addition to the padding that keeps the size.
        x, f, flip_filter, gain, backend: as in :func:`upfirdn2d`.

    Returns:
        ``[N, C, H, W]`` with ``padding=0``.
    """
    sides = four_sides(padding)
    return resampled(x, f, (1, 1), (1, 1), sides, flip_filter, gain, backend, centred=True)


def upsample2d(
    x: Tensor,
    f: Tensor | None,
    *,
    up: int | Sequence[int] = 2,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    backend: str | None = None,
) -> Tensor:
    """Upsample an image by whole factors by :func:`upfirdn2d`, centred.

    The result is multiplied by ``up_x · up_y``, since the inserted zeros darken it.

    Args:
        padding: as in :func:`upfirdn2d`, in addition to the padding that centres the result.
        gain: another factor of the result.
        x, f, up, flip_filter, backend: as in :func:`upfirdn2d`.

    Returns:
        ``[N, C, H·up, W·up]`` with ``padding=0`` and a filter of at least ``up`` taps.
    """
    up = xy_pair("up", up)
    sides, gain = four_sides(padding), gain * up[0] * up[1]
    return resampled(x, f, up, (1, 1), sides, flip_filter, gain, backend, centred=True)


def downsample2d(
    x: Tensor,
    f: Tensor | None,
    *,
    down: int | Sequence[int] = 2,
    padding: int | Sequence[int] = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
    backend: str | None = None,
) -> Tensor:
    """Downsample an image by whole factors by :func:`upfirdn2d`, centred.

    Args:
        padding: as in :func:`upfirdn2d`, in addition to the padding that centres the result.
        x, f, down, flip_filter, gain, backend: as in :func:`upfirdn2d`.

    Returns:
        ``[N, C, H // down, W // down]`` with ``padding=0``.
    """
    down = xy_pair("down", down)
    sides = four_sides(padding)
    return resampled(x, f, (1, 1), down, sides, flip_filter, gain, backend, centred=True)
