"""The filters of upfirdn2d."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._checks import check_at_least


def setup_filter(
    taps: Sequence[float] | Sequence[Sequence[float]] | Tensor | float | None,
    *,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1.0,
    separable: bool | None = None,
) -> Tensor | None:
    """Make a filter for :func:`upfirdn2d` from its taps.

    Args:
        taps: ``[taps]``, one filter that runs along x and along y; ``[taps_y, taps_x]``; or one
            number. It is a list, an array or a tensor. None stays None, the filter that does
            nothing.
        normalize: divide by the sum, so that an even area keeps its brightness.
        flip_filter: reverse the taps along both axes.
        gain: factor of the filtered image; a separable filter gets its square root on each axis.
        separable: True for ``[taps]``, False for ``[taps_y, taps_x]``, None for the rank of
            ``taps``.

    Returns:
        A float32 tensor on the CPU, ``[taps]`` or ``[taps_y, taps_x]``; None for None. Move it with
        ``.to(device)`` or keep it as a buffer.

    Raises:
        TypeError: ``taps`` doesn't hold numbers.
        ValueError: ``taps`` is empty, infinite or of a rank above 2, or sums to zero and can't be
            normalised. Also if a separable filter has two dimensions or a negative gain.
    """
    if taps is None:
        return None
    try:
        f = torch.as_tensor(taps, dtype=torch.float32, device="cpu").detach().clone()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"taps must be a number, a list of numbers or a list of rows of numbers, got {taps!r}"
        ) from error
    if f.ndim > 2 or f.numel() == 0:
        raise ValueError(
            f"taps must have shape [taps] or [taps_y, taps_x], not empty, got {list(f.shape)}"
        )
    if not bool(f.isfinite().all()):
        raise ValueError(f"taps must be finite numbers, got {f.tolist()}")
    if f.ndim == 0:
        f = f[None]
    if f.ndim == 2 and separable:
        raise ValueError(
            f"taps of a separable filter must have shape [taps], got {list(f.shape)}; "
            "leave separable=None"
        )
    if f.ndim == 1 and separable is False:
        f = f[:, None] * f[None, :]
    if normalize:
        total = f.double().sum()
        if total == 0:
            raise ValueError("taps must not sum to 0 to be normalised; pass normalize=False")
        f = (f.double() / total).float()
    if f.ndim == 1 and gain < 0:
        raise ValueError(
            f"gain of a separable filter must be at least 0, got {gain}; pass separable=False"
        )
    f = (f.double() * float(gain) ** (f.ndim / 2)).float()
    return f.flip(list(range(f.ndim))) if flip_filter else f


def design_lowpass(
    numtaps: int, *, cutoff: float, width: float, fs: float, radial: bool = False
) -> Tensor | None:
    """Design a low-pass filter by a Kaiser window, as StyleGAN3 does (Karras et al. 2021).

    Tap ``m`` is at ``t = (m - (numtaps - 1) / 2) / fs``, and ``κ`` is the window. The weights are
    ``sinc(2 · cutoff · t) · κ(t)``. A radial filter has the same response in each direction. Its
    weights are ``J₁(2π · cutoff · r) / (π r) · κ(x) · κ(y)`` at the distance ``r``. The shape ``β``
    of the window follows from the attenuation that so many taps and this width reach (Kaiser
    1974)::

        A = 2.285 (numtaps - 1) π · width / (fs / 2) + 7.95
        β = 0.1102 (A - 8.7) for A > 50; 0.5842 (A - 21)^0.4 + 0.07886 (A - 21) for A > 21; else 0

    Args:
        numtaps: number of taps along each axis.
        cutoff: frequency at which the response is a half, between 0 and ``fs / 2``.
        width: width of the transition from pass band to stop band, above 0.
        fs: sampling rate of the image that it filters, in the unit of the frequencies.
        radial: True for ``[numtaps, numtaps]``, False for ``[numtaps]``.

    Returns:
        A float32 tensor on the CPU whose sum is 1; None for one tap, the filter that does nothing.
        Move it with ``.to(device)`` or keep it as a buffer.

    Raises:
        ValueError: a number is out of range.
    """
    check_at_least(1, numtaps=numtaps)
    if not 0 < fs < math.inf:
        raise ValueError(f"fs must be a finite number above 0, got {fs}")
    if not 0 < cutoff < fs / 2:
        raise ValueError(f"cutoff must be between 0 and half of fs, {fs / 2}, got {cutoff}")
    if not 0 < width < math.inf:
        raise ValueError(f"width must be a finite number above 0, got {width}")
    if numtaps == 1:
        return None
    attenuation = 2.285 * (numtaps - 1) * math.pi * width / (fs / 2) + 7.95
    beta = 0.0
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    # On the CPU even where torch's default device is another.
    place: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    window = torch.kaiser_window(numtaps, periodic=False, beta=beta, **place)
    t = (torch.arange(numtaps, **place) - (numtaps - 1) / 2) / fs
    if radial:
        r = torch.hypot(t[:, None], t)
        # In the centre it has the limit of J₁(2π · cutoff · r) / (π r).
        response = torch.special.bessel_j1(2 * math.pi * cutoff * r) / (math.pi * r)
        f = torch.where(r == 0, cutoff, response) * window[:, None] * window
    else:
        f = torch.sinc(2 * cutoff * t) * window
    return (f / f.sum()).float()
