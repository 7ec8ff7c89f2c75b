"""The filters of upfirdn2d."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
