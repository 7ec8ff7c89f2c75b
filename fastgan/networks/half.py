"""Half precision of a network's highest resolutions, which autocast switches on.

Such a network casts its features itself. It computes the rest in the dtype of its parameters, under
autocast too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from fastgan.ops._checks import under_autocast


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the half type of autocast for the device of ``x``; None without autocast."""
    return torch.get_autocast_dtype(x.device.type) if under_autocast(x) else None


def is_half(r: int, resolution: int, half_resolutions: int) -> bool:
    """Return True if ``r`` is one of the highest resolutions; 4 never is."""
    return r > 4 and r * 2**half_resolutions > resolution


def cast_by_hand(compute: Callable[..., Tensor], x: Tensor, *more: Any) -> Tensor:
    """Return ``compute(x, *more, half)``, computed outside of autocast.

    ``half`` is autocast's dtype, or that of ``x`` without autocast.
    """
    half = autocast_dtype(x)
    if half is None:
        return compute(x, *more, x.dtype)
    with autocast_off(x):
        return compute(x, *more, half)


def run_layers(
    layers: Iterable[nn.Module],
    halves: Iterable[bool],
    x: Tensor,
    *,
    half: torch.dtype,
    full: torch.dtype,
) -> Tensor:
    """Return the output of layers, where autocast is off; it may be in half precision.

    Args:
        layers: layers to run in order.
        halves: True for each layer that computes in half precision, by autocast to ``half``.
        x: input of the first layer.
        half, full: dtypes of layers in half and in full precision.
    """
    for layer, low in zip(layers, halves):
        if low and half != full:
            with torch.autocast(x.device.type, dtype=half):
                x = layer(x.to(half))
        else:
            x = layer(x.to(full))
    return x


def autocast_off(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context without autocast for the device of ``x``."""
    return torch.autocast(x.device.type, enabled=False) if under_autocast(x) else nullcontext()
