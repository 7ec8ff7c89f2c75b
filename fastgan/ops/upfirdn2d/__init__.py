"""upfirdn2d: upsample, filter and downsample images in one pass. The maths is in this folder's README."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.upfirdn2d import reference, schema  # noqa: F401 - importing schema registers the op
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
    """Insert zeros, pad, filter, keep every ``down``-th pixel, in one pass; differentiable to any order in ``x``.

    ``up - 1`` zeros go after each pixel, then ``padding`` around the image, which is convolved with ``f`` and thinned
    out: resampling by ``up / down`` with a filter against imaging and aliasing (Oppenheim & Schafer, chapter 4;
    Karras et al. 2020 and 2021 for what it does in a GAN). No inserted zero is multiplied and no intermediate image is
    written. Half types are computed in float32 and rounded once.

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16, float32 or float64. Contiguous and channels_last run as they are and the
            result has the same layout; other strides give a contiguous result.
        f: ``[taps]``, one filter for both axes; ``[taps_y, taps_x]``; or None for no filter. float32, on the device of
            ``x``, without gradient. :func:`setup_filter` makes one.
        up, down: factor of both axes, or ``(x, y)``.
        padding: of all sides, ``(x, y)``, or ``(x0, x1, y0, y1)``: left, right, top, bottom. In pixels of the
            upsampled image; negative values crop.
        flip_filter: correlate with ``f`` in place of convolving.
        gain: factor of the result.
        backend: as in :func:`fastgan.ops.bias_act`.

    Under autocast the op runs in the dtype that ``x`` comes in.

    Returns:
        ``[N, C, (H·up + y0 + y1 - taps_y) // down + 1, (W·up + x0 + x1 - taps_x) // down + 1]``, of the dtype of ``x``.

    Raises:
        TypeError: ``x`` or ``f`` is not a tensor of a supported dtype, or a factor or padding is not a whole number.
        ValueError: a shape, device or factor is out of range, ``f`` requires a gradient, or nothing would be left.
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
    spans = [
        x.shape[3 - i] * up[i] + sides[2 * i] + sides[2 * i + 1] - taps[i] for i in (0, 1)
    ]  # along x, y
    if spans[0] < 0 or spans[1] < 0:
        raise ValueError(
            f"the upsampled and padded image is smaller than the filter: {spans[1] + taps[1]} by "
            f"{spans[0] + taps[0]} "
            f"pixels for {taps[1]} by {taps[0]} taps; use more padding or fewer taps"
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
    """Filter an image and keep its size: :func:`upfirdn2d` with zeros around it.

    Args:
        padding: as in :func:`upfirdn2d`, on top of what keeps the size.
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
    """Upsample an image by whole factors: :func:`upfirdn2d`, centred, with the brightness that the zeros took given back.

    Args:
        padding: as in :func:`upfirdn2d`, on top of what centres the result.
        gain: factor on top of ``up_x · up_y``.
        x, f, up, flip_filter, backend: as in :func:`upfirdn2d`.

    Returns:
        ``[N, C, H·up, W·up]`` with ``padding=0``, where a filter has at least ``up`` taps.
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
    """Downsample an image by whole factors: :func:`upfirdn2d`, centred.

    Args:
        padding: as in :func:`upfirdn2d`, on top of what centres the result.
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
