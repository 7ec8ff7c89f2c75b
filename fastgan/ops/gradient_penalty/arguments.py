"""Checks of the arguments of lerp_samples and grad_norm_penalty."""

from __future__ import annotations

import math

from torch import Tensor

from fastgan.ops._checks import check_input, kind, under_autocast


def check_samples(name: str, t: Tensor) -> None:
    """Raise TypeError or ValueError unless ``t`` is ``[N, ...]`` of a supported dtype."""
    check_input(t, name)
    if t.ndim == 0:
        raise ValueError(
            f"{name} must have shape [N, ...], one entry per sample, got a scalar tensor"
        )


def fitting(name: str, t: Tensor, real: Tensor, shape: list[int]) -> Tensor:
    """Return ``t`` in the dtype of ``real``.

    Raises:
        TypeError, ValueError: ``t`` has another shape or device or, without autocast, dtype.
    """
    check_samples(name, t)
    if list(t.shape) != shape:
        raise ValueError(
            f"{name} must have shape {shape} for real of shape {list(real.shape)}, "
            f"got {list(t.shape)}"
        )
    if t.dtype != real.dtype and not under_autocast(real):
        raise TypeError(
            f"{name} must have the dtype of real, {real.dtype}, got {t.dtype}; "
            f"convert it with {name}.to(real.dtype)"
        )
    if t.device != real.device:
        raise ValueError(f"{name} must be on the device of real, {real.device}, got {t.device}")
    return t.to(real.dtype)


def check_center(center: float) -> None:
    """Raise TypeError or ValueError unless ``center`` is a finite number of at least 0."""
    if isinstance(center, bool) or not isinstance(center, (int, float)):
        raise TypeError(f"center must be a number, got {kind(center)}; a tensor's is center.item()")
    if not 0 <= center < math.inf:
        raise ValueError(f"center must be a finite number of at least 0, got {center}")
