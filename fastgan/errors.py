"""Base classes of the errors that are written for users."""

from __future__ import annotations

import re
from typing import Any, TypeVar

E = TypeVar("E", bound="SettingError")

MARKED = re.compile(r"`([a-z][a-z0-9_]*)`")
"""Name of a setting or an argument in the message of an error."""


def without_marks(text: str) -> str:
    """Return a text without the backticks around names of settings."""
    return MARKED.sub(r"\1", text)


class FastganError(Exception):
    """Base of the errors that the command line prints as one sentence, with exit status 2.

    The message says what was expected, what it got and what to do. Names of settings and arguments
    are in backticks there, and `str()` leaves the backticks out. The command line writes such a
    name as its option, so no other part of fastgan knows about options.

    Attributes:
        marked: message with backticks.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(without_marks(message))
        self.marked = message


class SettingError(FastganError):
    """Error for the value of a setting.

    Attributes:
        setting: name of the setting; None if several settings don't fit together.
        expected: what its value must be.
        got: its value.
    """

    setting: str | None = None
    expected: str | None = None
    got: Any = None

    @classmethod
    def of(cls: type[E], setting: str, expected: str, got: Any, advice: str = "") -> E:
        """Return an error for one setting.

        Args:
            setting: its name.
            expected: what its value must be, after "must be".
            got: its value.
            advice: what to do; empty if that is obvious.
        """
        hint = f": {advice}" if advice else ""
        error = cls(f"`{setting}` must be {expected}, got {got!r}{hint}.")
        error.setting, error.expected, error.got = setting, expected, got
        return error
