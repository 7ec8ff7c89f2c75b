"""Error of the measures."""

from __future__ import annotations

from fastgan.errors import FastganError


class MetricError(FastganError):
    """A measure that can't be computed."""
