"""Settings that trained weights require: their networks' sizes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from fastgan.errors import FastganError
from fastgan.recipes import Recipe
from fastgan.training.transfer.blueprint import build_on_meta, shapes
from fastgan.training.transfer.source import Source

OF_THE_DATA = ("conditional",)
"""Settings that change networks' shapes, but follow from the data."""


def source_settings(source: Source, recipe: type[Recipe]) -> dict[str, Any] | None:
    """Return the settings of a recipe whose networks have the sizes of trained ones.

    These are the settings that change a shape or a name among the recipe's tensors. The result is
    None if the recipe has none of the source's networks.
    """
    usual = recipe()
    images = replace(source.images, num_classes=max(source.images.num_classes, 2), class_names=())
    try:
        there = build_on_meta(usual, images)
    except (FastganError, LookupError, RuntimeError, ValueError):
        return None
    if not any(
        source.classes.get(name) == type(network).__name__ for name, network in there.items()
    ):
        return None
    own = shapes(there)
    settings: dict[str, Any] = {}
    for setting in fields(recipe):
        name = setting.name
        if name in OF_THE_DATA or source.settings.get(name) in (None, getattr(usual, name)):
            continue
        changed = {name: source.settings[name]}
        try:
            differs = shapes(build_on_meta(replace(usual, **changed), images)) != own
        except (FastganError, LookupError, RuntimeError, ValueError):
            continue
        if differs:
            settings |= changed
    return settings
