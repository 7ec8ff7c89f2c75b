"""The official module ``conv2d_resample`` on :func:`fastgan.ops.conv2d_resample`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastgan import ops

__all__ = ["conv2d_resample"]


def conv2d_resample(
    x: Tensor,
    w: Tensor,
    f: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
) -> Tensor:
    """Call :func:`fastgan.ops.conv2d_resample`."""
    return ops.conv2d_resample(
        x,
        w,
        f,
        up=up,
        down=down,
        padding=padding,
        groups=groups,
        flip_weight=flip_weight,
        flip_filter=flip_filter,
    )
