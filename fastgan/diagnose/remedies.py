"""Remedies of failures, as changes of a recipe's settings.

A recipe is offered the settings that it has. The six remedies of poor quality that are no settings
are sentences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

from fastgan.recipes import RECIPES, Recipe, RecipeError


class Remedy(NamedTuple):
    """A change that may help.

    Attributes:
        settings: settings of the recipe by name; empty for a change of something else.
        option: the change for the command line; empty if it has none.
        why: reason in a few words, or the change itself as a sentence.
    """

    settings: dict[str, Any]
    option: str
    why: str


Change = tuple[dict[str, Any], str]
"""Settings, and a reason."""

# WGAN-GP collapses too with Adam's usual β₁ (docs/remedies.md).
_WGAN_GP = {"loss": "wasserstein", "penalty": "wgan-gp", "n_critic": 5, "betas": (0.0, 0.9)}
# Terms of G's loss that tie an output to its input.
_TIES = ("l1_weight", "cycle_weight", "reconstruction_weight", "class_weight")


def offered(recipe: Recipe, changes: list[Change | Remedy]) -> Iterator[Remedy]:
    """Yield the changes that a recipe can take and doesn't have yet, and all that aren't settings.

    Args:
        recipe: the recipe.
        changes: changes of settings, or remedies as they are.
    """
    for change in changes:
        if isinstance(change, Remedy):
            yield change
            continue
        settings, why = change
        try:
            changed = replace(recipe, **settings)
        except (RecipeError, TypeError):
            continue
        if changed != recipe:
            option = " ".join(_spelt(name, value) for name, value in settings.items())
            yield Remedy(settings, option, why)


def of_d_too_strong(recipe: Recipe) -> list[Change | Remedy]:
    """Return changes that hold D back, or let G catch up."""
    return [
        *_slower_d(recipe),
        ({"instance_noise": 0.1}, "noise on all that D sees"),
        ({"n_critic": 1}, "fewer updates of D"),
        ({"n_gen": getattr(recipe, "n_gen", 1) + 1}, "more updates of G"),
        *_dropout(recipe, 0.3),
        *_width_of_d(recipe, 0.5),
        ({"real_label": 0.9}, "keeps D from being too sure of real images"),
        ({"flip_labels": 0.05}, "D gets a wrong label now and then"),
    ]


def of_g_too_strong(recipe: Recipe) -> list[Change | Remedy]:
    """Return changes that let D catch up."""
    return [
        ({"d_lr": _d_rate(recipe, 4)}, "D learns faster"),
        ({"n_critic": getattr(recipe, "n_critic", 1) + 4}, "more updates of D"),
        ({"n_gen": 1}, "fewer updates of G"),
        *_width_of_d(recipe, 2),
        *_dropout(recipe, 0.0),
    ]


def of_vanishing(recipe: Recipe) -> list[Change | Remedy]:
    """Return changes that leave G a gradient where D is sure."""
    not_saturating: list[Change | Remedy] = [
        ({"loss": "non-saturating"}, "its gradient is strong where D is sure")
    ]
    return [
        *(not_saturating if getattr(recipe, "loss", None) == "minimax" else []),
        (_WGAN_GP, "a critic's gradient doesn't vanish"),
        ({"feature_matching": _matching(recipe)}, "G learns from D's features too"),
        ({"real_label": 0.9}, "labels smoothed on one side"),
        ({"spectral_norm": True}, "bounds D"),
        *_slower_d(recipe),
        *_width_of_d(recipe, 0.5),
    ]


def of_mode_collapse(recipe: Recipe) -> list[Change | Remedy]:
    """Return changes by which D sees what is missing, and G can't run after D."""
    return [
        *_batch_norm(recipe),
        ({"minibatch_discrimination": 16}, "D compares the images of a batch"),
        (_WGAN_GP, "the distance counts what is missing"),
        ({"unroll": 5}, "G takes D's answer into account"),
        ({"feature_matching": _matching(recipe)}, "G matches the mean of D's features"),
        ({"instance_noise": 0.1}, "noise on all that D sees"),
        *_ties(recipe),
        *_slower_d(recipe),
        *([] if _has(recipe, "d_lr") else [({"lr": _rate(recipe, 0.25)}, "D and G learn slower")]),
    ]


def of_oscillation(recipe: Recipe) -> list[Change | Remedy]:
    """Return changes that damp the game."""
    slower = {"lr": _rate(recipe, 0.25)}
    if _has(recipe, "d_lr"):
        slower["d_lr"] = _d_rate(recipe, 0.25)
    return [
        ({"spectral_norm": True}, "bounds D"),
        ({"penalty": "r1", "penalty_weight": 1.0}, "a penalty on D's gradient"),
        (slower, "both learn slower"),
        ({"real_label": 0.9}, "labels smoothed on one side"),
        *_batch_norm(recipe),
        ({"n_critic": getattr(recipe, "n_critic", 1) + 4}, "more updates of D"),
        ({"historical_averaging": 1.0}, "holds the weights near their mean"),
    ]


def of_poor_quality(recipe: Recipe) -> list[Change | Remedy]:
    """Return longer training, capacity, architecture, data, augmentation and self-attention."""
    # The colours of a picture are attributes, which diffaugment would change.
    augments = _has(recipe, "augment") and recipe.task != "attributes"
    other = "ada" if getattr(recipe, "augment", None) == "diffaugment" else "diffaugment"
    return [
        Remedy({}, "--resume", "train longer, with a higher --total-images"),
        *_capacity(recipe),
        *_architecture(recipe),
        Remedy({}, "", "more training data, if there is any"),
        ({"augment": other}, "data augmentation of all that D sees")
        if augments
        else ({"mirror": True}, "mirror images as further data"),
        *_attention(recipe),
    ]


def _matching(recipe: Recipe) -> float:
    """Return a weight of feature matching, at least the recipe's own."""
    return max(1.0, getattr(recipe, "feature_matching", 0.0))


def _has(recipe: Recipe, *names: str) -> bool:
    return {field.name for field in fields(recipe)}.issuperset(names)


def _spelt(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(
        [f"--{option}", *(f"{v:g}" if isinstance(v, float) else str(v) for v in values)]
    )


def _rate(recipe: Recipe, factor: float) -> float:
    return float(f"{getattr(recipe, 'lr', 1.0) * factor:.3g}")


def _d_rate(recipe: Recipe, factor: float) -> float:
    rate: Any = getattr(recipe, "d_lr", None) or getattr(recipe, "lr", 1.0)
    return float(f"{rate * factor:.3g}")


def _slower_d(recipe: Recipe) -> list[Change | Remedy]:
    return [({"d_lr": _d_rate(recipe, 0.25)}, "D learns slower")]


def _batch_norm(recipe: Recipe) -> list[Change | Remedy]:
    why = "batch norm in G"
    return [({"batch_norm": True}, why), ({"norm": "batch"}, why)]


def _dropout(recipe: Recipe, rate: float) -> list[Change | Remedy]:
    # Recipes between images have dropout in G.
    name = "dropout" if _has(recipe, "dropout") and not recipe.translates else "d_dropout"
    now = getattr(recipe, name, rate)
    return (
        [({name: rate}, "dropout in D" if rate else "no dropout in D")]
        if (rate == 0) == (now > 0)
        else []
    )


def _scaled(recipe: Recipe, factor: float, *names: str) -> dict[str, Any]:
    """Return widths times a factor; empty if the recipe lacks one of them."""
    if not _has(recipe, *names):
        return {}

    def width(value: Any) -> Any:
        return (
            tuple(map(width, value)) if isinstance(value, tuple) else max(1, round(value * factor))
        )

    return {name: width(getattr(recipe, name)) for name in names}


def _width_of_d(recipe: Recipe, factor: float) -> list[Change | Remedy]:
    why = "a larger D" if factor > 1 else "a smaller D"
    return [(_scaled(recipe, factor, name), why) for name in ("ndf", "d_hidden")]


def _ties(recipe: Recipe) -> list[Change | Remedy]:
    usual = {field.name: field.default for field in fields(recipe)}
    return [
        ({name: 2 * getattr(recipe, name) or usual[name]}, "ties outputs to their inputs")
        for name in _TIES
        if name in usual
    ]


def _capacity(recipe: Recipe) -> list[Change | Remedy]:
    widths = (("g_hidden", "d_hidden"), ("ngf", "ndf"), ("channel_base", "channel_max"))
    if getattr(recipe, "channel_base", 0) is None:
        return [Remedy({}, "", "larger networks, by a higher --channel-base")]
    return [(_scaled(recipe, 2, *names), "larger networks") for names in widths]


def _architecture(recipe: Recipe) -> list[Change | Remedy]:
    if isinstance(blocks := getattr(recipe, "blocks", None), int):
        return [({"blocks": 2 * blocks or 1}, "a better architecture: more residual blocks")]
    if recipe.translates:
        return [Remedy({}, "", "a better architecture, such as a deeper network of your own")]
    return [Remedy({}, "", f"a better architecture: {_with(recipe, 'channel_base')}")]


def _attention(recipe: Recipe) -> list[Change | Remedy]:
    if _has(recipe, "attention"):
        return [({"attention": None}, "self-attention layers")]
    if recipe.translates:
        return [Remedy({}, "", "self-attention layers, in a network of your own")]
    return [Remedy({}, "", f"self-attention layers: {_with(recipe, 'attention')}")]


def _with(recipe: Recipe, setting: str) -> str:
    """Return the names of other recipes that have a setting."""
    names = [
        name
        for name, other in RECIPES.items()
        if name != recipe.name and setting in {field.name for field in fields(other)}
    ]
    return f"the recipes {', '.join(names[:-1])} and {names[-1]}"
