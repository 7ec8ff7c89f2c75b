"""What the environment asks for, checked before any work is done."""

from __future__ import annotations

import os

from fastgan.cli import UsageError, unknown
from fastgan.ops import backends


def check_environment() -> None:
    """Raises UsageError if FASTGAN_BACKEND names a backend that there isn't."""
    name = os.environ.get("FASTGAN_BACKEND")
    if name and name not in backends():
        raise UsageError(unknown("backend", name, list(backends())) + " It came from FASTGAN_BACKEND.")
