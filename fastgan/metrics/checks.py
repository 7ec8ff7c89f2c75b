"""The checks that all measures share: values that aren't finite, and images in another range."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from fastgan.metrics.errors import MetricError

FAR = 10.0
"""Images are in [-1, 1]; networks that don't bound theirs leave it, but not as far as this."""


class NonFiniteError(MetricError, ValueError):
    """A measure was asked of values that are infinite or NaN; the message says how many."""


def check_floating(expected: str, **values: Tensor) -> None:
    """Check that values are floating-point tensors.

    Args:
        expected: their shape or range, for messages.
        values: by the name of the argument.

    Raises:
        TypeError: an array or anything else that is no tensor, or a tensor of another dtype.
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
    """Return how many rows of ``[N, ...]`` hold a value that is infinite or NaN."""
    rows = values.detach().reshape(len(values), -1) if values.numel() else values.new_zeros(0, 1)
    return int(rows.isfinite().logical_not_().any(dim=1).sum())


def require_finite(measure: str, **values: Tensor) -> None:
    """Raise NonFiniteError if one of `values`, ``[N, ...]`` by its name, isn't finite."""
    for name, rows in values.items():
        if bad := rows_not_finite(rows):
            raise not_finite(measure, name, bad, len(rows))


def not_finite(measure: str, name: str, bad: int, count: int) -> NonFiniteError:
    """Return the error for `bad` of `count` rows."""
    return NonFiniteError(
        f"{measure} can't be measured: {name} must be finite, got infinite or NaN values in {bad:,} of "
        f"{count:,} rows; if a network made them its training diverged, so take an earlier checkpoint."
    )


def warn_of_range(images: Tensor) -> None:
    """Warn, once per process by Python's own filter, of images that lie far outside [-1, 1]."""
    if images.numel() and float(images.detach().abs().amax().to(torch.float32)) > FAR:
        warnings.warn(
            "Images of a measure lie far outside [-1, 1], as those in 0 to 255 do: bring them to "
            "[-1, 1], with fastgan.data.to_float for uint8, or the figures mean nothing.",
            stacklevel=2,
        )
