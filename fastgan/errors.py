"""Errors meant for a person: one sentence saying what came, what is expected and what to do."""

from __future__ import annotations


class FastganError(Exception):
    """Base of every error that the command line prints as one sentence, with exit status 2."""
