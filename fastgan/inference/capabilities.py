"""Capabilities: the ways in which a trained network can be used."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from fastgan.recipes import ImageSpec, Networks, Recipe
from fastgan.recipes.translation import Translation

CAPABILITIES: Mapping[str, str] = {
    "sample": "draws images with sample()",
    "label": "takes label= in sample()",
    "caption": "takes caption= in sample()",
    "truncate": "takes truncation= in sample(), and draws styles towards their mean",
    "noise": "takes noise= in sample()",
    "transform": "takes translate= and rotate= in sample(), which move the image",
    "interpolate": "has latents to walk through, mix and move, by drawing()",
    "project": "finds the latent of a picture with project()",
    "translate": "translates pictures with translate()",
    "direction": "takes direction= in translate()",
    "attributes": "takes attributes= in translate()",
    "fill": "fills transparent parts of a picture with translate()",
    "evaluate": "is measured with evaluate()",
}
"""Names that `fastgan.Trained.can` takes, and their meaning."""


def steering(network: nn.Module | None) -> frozenset[str]:
    """Return the capabilities that a generator declares in its attribute ``capabilities``."""
    found: frozenset[str] = getattr(network, "capabilities", frozenset())
    return found


def capabilities_of(recipe: Recipe, networks: Networks, spec: ImageSpec | None) -> frozenset[str]:
    """Return the capabilities of a recipe's trained networks.

    Args:
        spec: images that they make; None for images that aren't square.
    """
    if isinstance(recipe, Translation):
        return _of_translation(recipe, networks, spec)
    G = networks.get("G")
    if G is None:
        return frozenset()
    found = {"sample"} | steering(G)
    if getattr(recipe, "conditional", False):
        found.add("label")
    if spec is not None:
        found.add("evaluate")
    return frozenset(found)


def _of_translation(
    recipe: Translation, networks: Networks, spec: ImageSpec | None
) -> frozenset[str]:
    makers = {name for name in networks if name.startswith("G")}
    if not makers or spec is None:
        return frozenset()
    found = {"evaluate"}
    if recipe.directions:
        found.add("translate")
    if len(recipe.directions) > 1:
        found.add("direction")
    if recipe.fills:
        found.add("fill")
    kinds = {value.kind for value in spec.inputs.values()}
    if "attributes" in kinds:
        found.add("attributes")
    if "caption" in kinds:
        found |= {"sample", "caption"}
    return frozenset(found)
