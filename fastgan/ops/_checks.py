"""Checks of arguments, which the ops share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastgan._torch_private import assume_constant_result

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def kind(value: object) -> str:
    """Describe a value for an error, such as ``a tensor of torch.int64``."""
    return (
        f"a tensor of {value.dtype}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
    )


def check_at_least(least: int, **values: int) -> None:
    """Raise ValueError for a named value that is not a whole number of at least ``least``."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def check_input(x: Tensor, name: str = "x") -> None:
    """Raise TypeError unless ``x`` is a tensor of a dtype that the ops take."""
    if not isinstance(x, Tensor) or x.dtype not in DTYPES:
        raise TypeError(
            f"{name} must be a float16, bfloat16, float32 or float64 tensor, got {kind(x)}"
        )


def check_image(x: Tensor) -> None:
    """Raise TypeError or ValueError unless ``x`` is ``[N, C, H, W]`` of a dtype that ops take."""
    check_input(x)
    if x.ndim != 4:
        raise ValueError(f"x must have shape [N, C, H, W], got {list(x.shape)}")


def check_dim(x: Tensor, dim: int) -> int:
    """Return ``dim`` counted from the first dimension of ``x``, or raise ValueError."""
    if x.ndim == 0:
        raise ValueError(
            "x must have at least one dimension, got a scalar tensor; use x.reshape(1)"
        )
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(
            f"dim must be from {-x.ndim} to {x.ndim - 1} for x of rank {x.ndim}, got {dim}"
        )
    return dim % x.ndim


def check_eps(eps: float) -> None:
    """Raise TypeError or ValueError unless ``eps`` is a finite number above 0."""
    if isinstance(eps, bool) or not isinstance(eps, (int, float)):
        raise TypeError(f"eps must be a number, got {kind(eps)}")
    if not 0 < eps < math.inf:
        raise ValueError(f"eps must be a finite number above 0, got {eps}")


def check_device(name: str, t: Tensor, x: Tensor) -> None:
    """Raise ValueError unless ``t`` is on the device of ``x``."""
    if t.device != x.device:
        raise ValueError(f"{name} must be on the device of x, {x.device}, got {t.device}")


# Before torch 2.14 Dynamo can't trace this call.
@assume_constant_result
def _has_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def under_autocast(x: Tensor) -> bool:
    """Return True if autocast is on for the device of ``x``; some devices have none."""
    device = x.device.type
    known = device in ("cpu", "cuda") or _has_autocast(device)
    return known and torch.is_autocast_enabled(device)


def check_parameter(name: str, t: Tensor, x: Tensor) -> None:
    """Raise TypeError or ValueError unless ``t`` has the dtype and device of ``x``.

    Under autocast the dtypes may differ.
    """
    check_input(t, name)
    if t.dtype != x.dtype and not under_autocast(x):
        raise TypeError(
            f"x and {name} must have the same dtype, got {x.dtype} and {t.dtype}; "
            f"convert one of them, such as x.to({name}.dtype)"
        )
    check_device(name, t, x)


def as_dtype(t: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``t`` in ``dtype``; ``to`` takes as long as an op where there is nothing to do."""
    return t if t.dtype == dtype else t.to(dtype)


def fitting_parameter(
    name: str, t: Tensor | None, x: Tensor, *shapes: tuple[int, ...]
) -> Tensor | None:
    """Return ``t`` in the dtype of ``x``; None stays None.

    Raises:
        TypeError, ValueError: ``t`` doesn't fit ``x``, or has none of ``shapes``.
    """
    if t is None:
        return None
    alike = isinstance(t, Tensor) and t.dtype == x.dtype and t.device == x.device
    if not alike:
        check_parameter(name, t, x)
    # The rank is compared first. Python compares sizes first, and a traced graph with an open batch
    # would be bound to a batch that differs from the number of channels.
    rank = t.ndim
    for shape in shapes:
        if len(shape) == rank and t.shape == shape:
            return t if alike else as_dtype(t, x.dtype)
    expected = " or ".join(str(list(shape)) for shape in shapes)
    raise ValueError(
        f"{name} must have shape {expected} for x of shape {list(x.shape)}, got {list(t.shape)}"
    )
