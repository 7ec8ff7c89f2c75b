"""Base class of the errors that are written for users."""

from __future__ import annotations


class FastganError(Exception):
    """Base of the errors that the command line prints as one sentence, with exit status 2.

    The message says what was expected, what it got and what to do.
    """
