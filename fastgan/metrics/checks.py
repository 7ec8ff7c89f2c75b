"""Checks of the arguments of all measures: types, finite values, and the range of images."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from fastgan.metrics.errors import MetricError

FAR = 10.0
"""Largest absolute value of images without a warning.

Images are in [-1, 1]. Networks with unbounded outputs exceed that, but not as far as this.
"""


class NonFiniteError(MetricError, ValueError):
    """Values of a measure that are infinite or NaN; the message says how many."""


def check_floating(expected: str, **values: Tensor) -> None:
    """Check that values are floating-point tensors.

    Args:
        expected: shape or range of the values, for the message.
        values: values by the name of their argument.

    Raises:
        TypeError: a value is no tensor, or of another dtype.
    """
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"{name} must be a floating-point tensor {expected}, got {type(value).__name__}: "
                "convert an array with torch.from_numpy."
            )
        if not value.is_floating_point():
            raise TypeError(
                f"{name} must be a floating-point tensor {expected}, got {value.dtype}: "
                "convert it with .float()."
            )


def rows_not_finite(values: Tensor) -> int:
    """Count the rows of ``[N, ...]`` with a value that is infinite or NaN."""
    rows = values.detach().reshape(len(values), -1) if values.numel() else values.new_zeros(0, 1)
    return int(rows.isfinite().logical_not_().any(dim=1).sum())


def require_finite(measure: str, **values: Tensor) -> None:
    """Check that values are finite.

    Args:
        measure: name of the measure, for the message.
        values: ``[N, ...]`` by the name of their argument.

    Raises:
        NonFiniteError: a value is infinite or NaN.
    """
    for name, rows in values.items():
        if bad := rows_not_finite(rows):
            raise not_finite(measure, name, bad, len(rows))


def not_finite(measure: str, name: str, bad: int, count: int) -> NonFiniteError:
    """Return the error for `bad` of `count` rows."""
    return NonFiniteError(
        f"{measure} can't be measured: {name} must be finite, got infinite or NaN values in "
        f"{bad:,} of {count:,} rows; if they are a network's outputs its training diverged, so use "
        f"an earlier checkpoint."
    )


def warn_of_range(images: Tensor) -> None:
    """Warn of images far outside [-1, 1]; Python's filter shows it once per process."""
    if images.numel() and float(images.detach().abs().amax().to(torch.float32)) > FAR:
        warnings.warn(
            "Images of a measure lie far outside [-1, 1], as those in 0 to 255 do: scale them to "
            "[-1, 1], with fastgan.data.to_float for uint8, or the results mean nothing.",
            stacklevel=2,
        )
