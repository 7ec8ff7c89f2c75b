"""upfirdn2d: upsample, filter and downsample images in one pass. The maths is in this folder's README."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan.ops._checks import check_input, kind
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.upfirdn2d import reference, schema  # noqa: F401 - importing schema registers the op
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
        BackendUnavailable: the backend asked for by name cannot run here.
    """
    _check_image(x)
    _check_filter(f, x.device)
    up, down = _pair("up", up), _pair("down", down)
    sides = _sides(padding)
    gain = float(gain)
    if not -math.inf < gain < math.inf:
        raise ValueError(f"gain must be a finite number, got {gain}")
    taps = reference.axis_taps(f)
    spans = [x.shape[3 - i] * up[i] + sides[2 * i] + sides[2 * i + 1] - taps[i] for i in (0, 1)]  # along x, y
    if spans[0] < 0 or spans[1] < 0:
        raise ValueError(
            f"the upsampled and padded image is smaller than the filter: {spans[1] + taps[1]} by {spans[0] + taps[0]} "
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
    taps = _taps(f)
    centred = [side for t in taps for side in (t // 2, (t - 1) // 2)]
    return upfirdn2d(
        x, f, padding=_more(centred, padding), flip_filter=flip_filter, gain=gain, backend=backend
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
    up = _pair("up", up)
    centred = [side for t, u in zip(_taps(f), up) for side in ((t + u - 1) // 2, (t - u) // 2)]
    return upfirdn2d(
        *(x, f), up=up, padding=_more(centred, padding), flip_filter=flip_filter,
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
    down = _pair("down", down)
    centred = [side for t, d in zip(_taps(f), down) for side in ((t - d + 1) // 2, (t - d) // 2)]
    return upfirdn2d(
        *(x, f), down=down, padding=_more(centred, padding), flip_filter=flip_filter, gain=gain, backend=backend
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- arguments


def _check_image(x: Tensor) -> None:
    check_input(x)
    if x.ndim != 4:
        raise ValueError(f"x must have shape [N, C, H, W], got {list(x.shape)}")


def _check_filter(f: Tensor | None, device: torch.device) -> None:
    if f is None:
        return
    if not isinstance(f, Tensor) or f.dtype != torch.float32:
        raise TypeError(f"f must be a float32 tensor or None, got {kind(f)}; make one with setup_filter")
    if f.ndim not in (1, 2) or 0 in f.shape:
        raise ValueError(f"f must have shape [taps] or [taps_y, taps_x], not empty, got {list(f.shape)}")
    if f.device != device:
        raise ValueError(f"f must be on the device of x, {device}, got {f.device}")
    if f.requires_grad:
        raise ValueError("f must not require a gradient, for upfirdn2d gives it none; pass f.detach()")


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, torch.SymInt)):
        raise TypeError(f"{name} must be a whole number or a sequence of them, got {value!r}")
    return value  # type: ignore[return-value]


def _pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    given = list(value) if isinstance(value, (tuple, list)) else [value, value]
    if len(given) != 2:
        raise ValueError(f"{name} must be a whole number or (x, y), got {value!r}")
    x, y = (_whole(name, v) for v in given)
    if x < 1 or y < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    return x, y


def _sides(padding: int | Sequence[int]) -> list[int]:
    """Padding left, right, top, bottom."""
    given = list(padding) if isinstance(padding, (tuple, list)) else [padding, padding]
    sides = [_whole("padding", v) for v in given]
    if len(sides) == 2:
        sides = [sides[0], sides[0], sides[1], sides[1]]
    if len(sides) != 4:
        raise ValueError(f"padding must be a whole number, (x, y) or (x0, x1, y0, y1), got {padding!r}")
    return sides


def _more(centred: Sequence[int], padding: int | Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(centred, _sides(padding))]


def _taps(f: Tensor | None) -> tuple[int, int]:
    return reference.axis_taps(f) if isinstance(f, Tensor) and f.ndim else (1, 1)
