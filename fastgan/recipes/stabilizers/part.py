"""Base of stabilisers: settings with the behaviour that they switch on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

from fastgan.recipes.errors import RecipeError

P = TypeVar("P", bound="Part")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One stabiliser. Its settings are fields, and their defaults switch it off.

    The fields are those of a class of settings, which a recipe derives from to support it. The part
    has its checks, draws and state, so a recipe without the settings has nothing to refuse. It acts
    on images, logits or named networks, so it serves any D with any condition.
    """

    @classmethod
    def of(cls: type[P], recipe: object) -> P:
        """Return the part with a recipe's settings; switched off if the recipe has none of them."""
        names = [entry.name for entry in fields(cls)]
        return cls(**{name: getattr(recipe, name) for name in names if hasattr(recipe, name)})

    def check(self, recipe: Any) -> None:
        """Raise RecipeError if a setting is out of range, or doesn't fit the recipe's others."""

    def require(self, setting: str, holds: bool, expected: str) -> None:
        """Raise RecipeError, saying what is expected of a setting, unless it holds."""
        if not holds:
            raise RecipeError.of(setting, expected, getattr(self, setting))

    def require_at_least_0(self, *settings: str) -> None:
        """Raise RecipeError unless all of these are finite numbers from 0 on."""
        for setting in settings:
            self.require(setting, 0 <= getattr(self, setting) < float("inf"), "at least 0")


def usual(recipe: Any, *settings: str) -> bool:
    """Return True if all of these settings have their defaults, in the recipe or before it."""
    return all(
        getattr(recipe, entry.name) == entry.default
        for entry in fields(recipe)
        if entry.name in settings
    )
