"""upfirdn2d: upsample, filter and downsample. The maths is in this folder's README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the op.
from fastgan.ops.upfirdn2d import reference, schema  # noqa: F401
from fastgan.ops.upfirdn2d.arguments import (
    check_filter,
    check_image,
    filter_taps,
    four_sides,
    more_padding,
    xy_pair,
)
from fastgan.ops.upfirdn2d.filters import setup_filter

__all__ = ["downsample2d", "filter2d", "setup_filter", "upfirdn2d", "upsample2d"]


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
    float32 and rounded once. The op is differentiable to any order in ``x``.

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
    check_image(x)
    check_filter(f, x.device)
    up, down = xy_pair("up", up), xy_pair("down", down)
    sides = four_sides(padding)
    gain = float(gain)
    if not -math.inf < gain < math.inf:
        raise ValueError(f"gain must be a finite number, got {gain}")
    taps = reference.axis_taps(f)
    # Along x, y.
    spans = [x.shape[3 - i] * up[i] + sides[2 * i] + sides[2 * i + 1] - taps[i] for i in (0, 1)]
    if spans[0] < 0 or spans[1] < 0:
        raise ValueError(
            f"the upsampled and padded image must be at least as large as the filter, "
            f"{taps[1]} by {taps[0]} taps, got "
            f"{spans[1] + taps[1]} by {spans[0] + taps[0]} pixels; "
            "use more padding or fewer taps"
        )
    arguments = (
        *(x, f, list(up), list(down), [sides[0], sides[2]]),
        *([span // factor + 1 for span, factor in zip(spans, down)], bool(flip_filter), gain),
    )
    chosen = choose_backend("upfirdn2d", x.device, backend)
    if chosen == "reference":
        return reference.upfirdn2d(*arguments)
    return ops_of(chosen).upfirdn2d(*arguments)


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
    taps = filter_taps(f)
    centred = [side for t in taps for side in (t // 2, (t - 1) // 2)]
    return upfirdn2d(
        x,
        f,
        padding=more_padding(centred, padding),
        flip_filter=flip_filter,
        gain=gain,
        backend=backend,
    )


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
    centred = [
        side for t, u in zip(filter_taps(f), up) for side in ((t + u - 1) // 2, (t - u) // 2)
    ]
    return upfirdn2d(
        *(x, f), up=up, padding=more_padding(centred, padding), flip_filter=flip_filter,
        gain=gain * up[0] * up[1], backend=backend,
    )  # fmt: skip


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
    centred = [
        side for t, d in zip(filter_taps(f), down) for side in ((t - d + 1) // 2, (t - d) // 2)
    ]
    return upfirdn2d(
        *(x, f), down=down, padding=more_padding(centred, padding), flip_filter=flip_filter,
        gain=gain, backend=backend
    )  # fmt: skip
