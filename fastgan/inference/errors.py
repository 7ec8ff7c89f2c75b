"""The error of this package."""

from __future__ import annotations

from fastgan.errors import FastganError


class InferenceError(FastganError):
    """A trained network can't do what is asked for; the message says what to do instead."""
