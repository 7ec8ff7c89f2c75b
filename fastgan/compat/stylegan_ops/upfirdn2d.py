"""The official module ``upfirdn2d`` on :func:`fastgan.ops.upfirdn2d`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastgan import ops
from fastgan.compat.stylegan_ops._impl import backend_of

__all__ = ["downsample2d", "filter2d", "setup_filter", "upfirdn2d", "upsample2d"]

Numbers = int | Sequence[int]
CPU = torch.device("cpu")
FEWEST_SEPARABLE = 8
"""Number of taps from which a filter of one dimension stays separable."""


def setup_filter(
    f: Tensor | Sequence[float] | Sequence[Sequence[float]] | float | None,
    device: torch.device | str = CPU,
    normalize: bool = True,
    flip_filter: bool = False,
    gain: float = 1,
    separable: bool | None = None,
) -> Tensor:
    """Call :func:`fastgan.ops.setup_filter` with two official rules.

    None is a 1x1 filter. Taps in one dimension become their outer product, unless there are at
    least 8 or ``separable`` is True.

    Args:
        f: taps, ``[K]`` or ``[K, K]``, or one number.
        device: device of the result.
        normalize: scale the sum to 1.
        flip_filter: reverse the taps.
        gain: factor of the filter.
        separable: keep taps in one dimension; None decides by their number.

    Returns:
        float32 ``[K]`` or ``[K, K]``.
    """
    taps = ops.setup_filter(1.0 if f is None else f, normalize=False)
    assert taps is not None
    if separable is None and taps.ndim == 1:
        separable = len(taps) >= FEWEST_SEPARABLE
    kernel = ops.setup_filter(
        taps, normalize=normalize, flip_filter=flip_filter, gain=gain, separable=separable
    )
    assert kernel is not None
    return kernel.to(device)


def upfirdn2d(
    x: Tensor,
    f: Tensor | None,
    up: Numbers = 1,
    down: Numbers = 1,
    padding: Numbers = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Call :func:`fastgan.ops.upfirdn2d`."""
    return ops.upfirdn2d(
        x,
        f,
        up=up,
        down=down,
        padding=padding,
        flip_filter=flip_filter,
        gain=gain,
        backend=backend_of(impl),
    )


def filter2d(
    x: Tensor,
    f: Tensor | None,
    padding: Numbers = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Call :func:`fastgan.ops.filter2d`."""
    return ops.filter2d(
        x, f, padding=padding, flip_filter=flip_filter, gain=gain, backend=backend_of(impl)
    )


def upsample2d(
    x: Tensor,
    f: Tensor | None,
    up: Numbers = 2,
    padding: Numbers = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Call :func:`fastgan.ops.upsample2d`."""
    return ops.upsample2d(
        x, f, up=up, padding=padding, flip_filter=flip_filter, gain=gain, backend=backend_of(impl)
    )


def downsample2d(
    x: Tensor,
    f: Tensor | None,
    down: Numbers = 2,
    padding: Numbers = 0,
    flip_filter: bool = False,
    gain: float = 1,
    impl: str = "cuda",
) -> Tensor:
    """Call :func:`fastgan.ops.downsample2d`."""
    return ops.downsample2d(
        x,
        f,
        down=down,
        padding=padding,
        flip_filter=flip_filter,
        gain=gain,
        backend=backend_of(impl),
    )
