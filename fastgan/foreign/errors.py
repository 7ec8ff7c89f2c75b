"""Errors of the readers of foreign files."""

from __future__ import annotations

from fastgan.errors import FastganError


class CompatError(FastganError):
    """A file that can't be read into a network, or was refused."""


class Refusal(ValueError):
    """A reader's objection to a file, a clause; callers raise CompatError with the file's name."""


def describe(value: object) -> str:
    """Describe a value of a foreign file in a message: text on one bounded line, else the type."""
    text = ascii(value[:200]) if isinstance(value, str) else f"a {type(value).__name__}"
    return f"{text[:200]}…" if len(text) > 200 else text
