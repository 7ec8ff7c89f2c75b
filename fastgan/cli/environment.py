"""Checks of environment variables, before any work is done."""

from __future__ import annotations

import os

from fastgan.cli import UsageError
from fastgan.names import unknown
from fastgan.ops import backends


def check_environment() -> None:
    """Raise UsageError if the backend in FASTGAN_BACKEND is unknown or can't run here."""
    name = os.environ.get("FASTGAN_BACKEND")
    if not name:
        return
    status = backends().get(name)
    if status is None:
        raise UsageError(unknown("backend", name, list(backends())) + " FASTGAN_BACKEND names it.")
    if not status.usable:
        raise UsageError(
            f"The backend {name!r} of FASTGAN_BACKEND can't run here: {status.reason}; "
            f"{status.remedy}."
        )
