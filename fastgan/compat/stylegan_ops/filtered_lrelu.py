"""The official module ``filtered_lrelu`` on :func:`fastgan.ops.filtered_lrelu`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from fastgan import ops
from fastgan.compat.stylegan_ops._impl import backend_of

__all__ = ["filtered_lrelu"]


def filtered_lrelu(
    x: Tensor,
    fu: Tensor | None = None,
    fd: Tensor | None = None,
    b: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    gain: float = math.sqrt(2),
    slope: float = 0.2,
    clamp: float | None = None,
    flip_filter: bool = False,
    impl: str = "cuda",
) -> Tensor:
    """Call :func:`fastgan.ops.filtered_lrelu`; ``impl`` is ``"ref"`` or ``"cuda"``."""
    return ops.filtered_lrelu(
        x, fu, fd, b, up=up, down=down, padding=padding, gain=gain, slope=slope, clamp=clamp,
        flip_filter=flip_filter, backend=backend_of(impl),
    )  # fmt: skip
