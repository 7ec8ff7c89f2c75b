"""The choice of the fully fused modulated convolution, which is off by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._library import BACKENDS

_enabled = False


def set_fused_modulation(enabled: bool) -> None:
    """Allow or forbid (the default) the fused kernel of :func:`modulated_conv2d` on a GPU.

    It is one implicit matrix product in Triton, with the styles before and the epilogue behind it.
    It serves 1x1 and 3x3 kernels without resampling and without a gradient, in eager code, on the
    backends ``triton`` and ``cuda``. In the figures of an H100 it breaks even with cuDNN and two
    passes over the images: it saves about what its product is slower.

    Args:
        enabled: True for the fused kernel wherever it can run.

    Raises:
        TypeError: ``enabled`` isn't a bool.
    """
    global _enabled
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be True or False, got {enabled!r}")
    _enabled = enabled


def fused_suits(chosen: str, x: Tensor, weight: Tensor, padding: Sequence[int]) -> bool:
    """Return True if the fused kernel is allowed and can run for these sides of padding."""
    if not _enabled or chosen not in ("triton", "cuda") or torch.compiler.is_compiling():
        return False
    size = weight.shape[2]
    return (
        tuple(weight.shape[2:]) in ((1, 1), (3, 3))
        and all(side == size // 2 for side in padding)
        and x.dtype != torch.float64
        and BACKENDS["triton"].problem() is None
    )


def run_fused(
    x: Tensor, weight: Tensor, styles: Tensor, scale: Tensor | None, noise: Tensor | None,
    bias: Tensor | None, *options: Any,
) -> Tensor:  # fmt: skip
    """Run the fused kernel; importing triton is slow, so it waits until here."""
    from fastgan.ops.modulated_conv2d.triton import modulated_conv2d_fused

    return modulated_conv2d_fused(x, weight, styles, scale, noise, bias, *options)
