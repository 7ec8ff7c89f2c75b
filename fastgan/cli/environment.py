"""What the environment asks for, checked before any work is done."""

from __future__ import annotations

import os

from fastgan.cli import UsageError
from fastgan.names import unknown
from fastgan.ops import backends


def check_environment() -> None:
    """Raise UsageError if FASTGAN_BACKEND names a backend that there isn't, or that can't run here."""
    name = os.environ.get("FASTGAN_BACKEND")
    if not name:
        return
    status = backends().get(name)
    if status is None:
        raise UsageError(
            unknown("backend", name, list(backends())) + " It came from FASTGAN_BACKEND."
        )
    if not status.usable:
        raise UsageError(
            f"The backend {name!r} of FASTGAN_BACKEND can't run here: {status.reason}; {status.remedy}."
        )
