"""What every measure raises when it can't be taken."""

from __future__ import annotations

from fastgan.errors import FastganError


class MetricError(FastganError):
    """A measure can't be taken; the message says why and what to do."""
