"""Error of sweeps."""

from __future__ import annotations

from fastgan.errors import SettingError


class SweepError(SettingError):
    """The sweep can't be run or continued; the message says what to do."""
