"""Errors of recipes."""

from __future__ import annotations

from collections.abc import Sequence

from fastgan.errors import SettingError


class RecipeError(SettingError):
    """Error for an unknown recipe, or for a setting that a recipe can't take."""


def one_of(choices: Sequence[object]) -> str:
    """Return the choices as words for an error."""
    return f"one of {', '.join(map(str, choices))}"
