"""What the readers of foreign files raise."""

from __future__ import annotations

from fastgan.errors import FastganError


class CompatError(FastganError):
    """A file can't be read into a network, or was refused; the message says why and what to do."""


class Refusal(ValueError):
    """What a reader objects to, as a clause; whoever knows the file's name makes a CompatError of it."""


def shown(value: object) -> str:
    """Something out of a foreign file for a message: text on one line and of bounded length, else its type."""
    text = ascii(value[:200]) if isinstance(value, str) else f"a {type(value).__name__}"
    return f"{text[:200]}…" if len(text) > 200 else text
