"""Checks of the arguments of adaptive_norm."""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._checks import (
    check_device,
    check_eps,
    check_input,
    fitting_parameter,
    under_autocast,
)
from fastgan.ops._numerics import accumulate_dtype

OVER = ("sample", "batch")


def check_image(x: Tensor) -> None:
    """Raise TypeError or ValueError unless ``x`` is ``[N, C, *]`` of a supported dtype."""
    check_input(x)
    if x.ndim < 2:
        raise ValueError(f"x must have shape [N, C, *], got {list(x.shape)}")


def check_setting(over: str, eps: float) -> None:
    """Raise TypeError or ValueError unless ``over`` and ``eps`` are in range."""
    if over not in OVER:
        raise ValueError(f"over must be 'sample' or 'batch', got {over!r}")
    check_eps(eps)


def modulation(name: str, t: Tensor | None, x: Tensor) -> Tensor | None:
    """Return ``scale`` or ``shift`` in the dtype of ``x``, as ``[N, C]`` or shaped as ``x``."""
    n, c = x.shape[:2]
    t = fitting_parameter(name, t, x, (c,), (n, c), tuple(x.shape))
    return t.expand(n, c) if t is not None and t.ndim == 1 else t


def alike(scale: Tensor | None, shift: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Expand ``scale`` or ``shift`` to the shape of the image if the other one has it."""
    rank = max((t.ndim for t in (scale, shift) if t is not None), default=2)
    shape = next((t.shape for t in (scale, shift) if t is not None and t.ndim == rank), ())
    if rank > 2:
        scale, shift = (
            t
            if t is None or t.ndim == rank
            else t.reshape(*t.shape, *(1 for _ in shape[2:])).expand(shape)
            for t in (scale, shift)
        )
    return scale, shift


def statistics(
    mean: Tensor | None, var: Tensor | None, x: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Return mean and variance in the accumulation dtype as ``[N, C]``, or None for both."""
    if (mean is None) != (var is None):
        raise ValueError(
            f"mean and var must be given together, got {'var' if mean is None else 'mean'} alone; "
            "give both or neither"
        )
    return _statistic("mean", mean, x), _statistic("var", var, x)


def _statistic(name: str, t: Tensor | None, x: Tensor) -> Tensor | None:
    if t is None:
        return None
    n, c = x.shape[:2]
    wide = accumulate_dtype(x.dtype)
    check_input(t, name)
    if t.dtype not in (x.dtype, wide) and not under_autocast(x):
        raise TypeError(
            f"{name} must have the dtype {wide} for x of {x.dtype}, got {t.dtype}; convert it with "
            f"{name}.to({wide})"
        )
    if list(t.shape) not in ([c], [n, c]):
        raise ValueError(
            f"{name} must have shape {[c]} or {[n, c]} for x of shape {list(x.shape)}, got "
            f"{list(t.shape)}"
        )
    check_device(name, t, x)
    return t.to(wide).expand(n, c)
