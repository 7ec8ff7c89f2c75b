"""Failures of GAN training, the figures that show them, and remedies as settings of the recipe.

The thresholds were set on small runs, some broken on purpose (docs/diagnose.md has their figures).
They avoid false alarms first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fastgan.diagnose.figures import Figures
from fastgan.recipes import Recipe, RecipeError

# Certainty of D: nearly never wrong, undecided, and the peak of one that always was.
SURE, BLIND, NEVER_LED = 0.85, 0.1, 0.2
# Shares: of rows, of real images near a sample, of classes, of steps.
FOOLED, MISSED, LOST_MODES, SKIPPED = 0.75, 0.5, 0.5, 0.01
# Relative to real images: distance from each to the next, and variance.
ALIKE, NARROW = 0.4, 0.3
# Relative to the highest gradient of the run.
VANISHED = 0.05
# Noise about 0 has a swing of 1.25 times its size.
SWING, LOSS_SWING = 0.15, 1.5


class Evidence(NamedTuple):
    """A figure beyond its threshold.

    Attributes:
        figure: its name.
        says: its meaning, for a person.
    """

    figure: str
    value: float
    threshold: float
    says: str


class Remedy(NamedTuple):
    """A change of settings that may help.

    Attributes:
        settings: settings of the recipe by name.
        option: the same for the command line.
        why: reason in a few words.
    """

    settings: dict[str, Any]
    option: str
    why: str


@dataclass(frozen=True)
class Symptom:
    """A failure, the evidence for it, and remedies."""

    name: str
    evidence: tuple[Evidence, ...]
    remedies: tuple[Remedy, ...]


def symptoms_of(figures: Figures, recipe: Recipe) -> tuple[Symptom, ...]:
    """Return the failures that the figures show, the gravest first; missing figures show none."""
    found = []
    for name, (sees, remedies) in _FAILURES.items():
        if evidence := sees(figures):
            found.append(Symptom(name, tuple(evidence), tuple(_offered(recipe, remedies(recipe)))))
    return tuple(found)


def _d_too_strong(f: Figures) -> list[Evidence]:
    """Return evidence that D is never wrong, so that G learns nothing from it."""
    return _above(f, "certainty", SURE, "D's certainty (1: never wrong)") if _misses(f) else []


def _vanishing(f: Figures) -> list[Evidence]:
    kept = _below(f, "gradient_g_kept", VANISHED, "G's gradient, of what it was")
    sure = _above(f, "certainty", 0.5, "D's certainty (1: never wrong)")
    return [*kept, *sure] if kept and (sure or "certainty" not in f) else []


def _g_too_strong(f: Figures) -> list[Evidence]:
    """Return evidence that D is undecided although the samples differ from the data.

    At the end of a good run D is undecided too, and the samples are like the data. A D that never
    led is no sign without samples: a penalty may hold it back.
    """
    blind = _below(f, "certainty", BLIND, "D's certainty (0: undecided)")
    never = _below(f, "certainty_peak", NEVER_LED, "the highest certainty that D ever had")
    never = never if "covered" in f else []
    fooled = _above(f, "fooled", FOOLED, "share of the log in which D takes samples for real")
    missed = _below(f, "covered", MISSED, "share of the real images with a sample near them")
    return [*blind, *never, *fooled, *missed] if blind and (never or fooled) and _misses(f) else []


def _mode_collapse(f: Figures) -> list[Evidence]:
    return [
        *_below(f, "apart", ALIKE, "distance from sample to sample, of that between real images"),
        *_below(f, "spread", NARROW, "variance of the samples, of the real images'"),
        *_below(f, "classes_shown", LOST_MODES, "share of the classes that appear"),
    ]


def _oscillation(f: Figures) -> list[Evidence]:
    scaled = "certainty" in f and "certainty_swing" not in f
    what = "D's certainty" if scaled else "D's loss, of its size"
    lines = "from line to line of the log"
    return [
        *_above(f, "certainty_swing", SWING, f"swings of D's certainty, {lines}"),
        *_above(
            f,
            "swing",
            SWING if scaled else LOSS_SWING,
            f"swings of {what}, {lines}",
        ),
        *_above(f, "skipped", SKIPPED, "updates left out because they weren't finite, per step"),
    ]


def _misses(f: Figures) -> bool:
    """Return True if the samples differ from the data, or weren't examined."""
    return f.get("covered", 0.0) < MISSED


def _above(f: Figures, name: str, threshold: float, says: str) -> list[Evidence]:
    return [Evidence(name, f[name], threshold, says)] if name in f and f[name] > threshold else []


def _below(f: Figures, name: str, threshold: float, says: str) -> list[Evidence]:
    return [Evidence(name, f[name], threshold, says)] if name in f and f[name] < threshold else []


Change = tuple[dict[str, Any], str]
"""Settings, and a reason."""


def _offered(recipe: Recipe, changes: list[Change]) -> Iterator[Remedy]:
    """Yield the changes that a recipe can take and doesn't have yet."""
    for settings, why in changes:
        try:
            changed = replace(recipe, **settings)
        except (RecipeError, TypeError):
            continue
        if changed != recipe:
            option = " ".join(_spelt(name, value) for name, value in settings.items())
            yield Remedy(settings, option, why)


def _spelt(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    if isinstance(value, tuple):
        return f"--{option} {' '.join(map(str, value))}"
    return f"--{option} {value:g}" if isinstance(value, float) else f"--{option} {value}"


def _d_rate(recipe: Recipe, factor: float) -> float:
    rate: Any = getattr(recipe, "d_lr", None) or getattr(recipe, "lr", 1.0)
    return float(f"{rate * factor:.3g}")


def _of_d_too_strong(recipe: Recipe) -> list[Change]:
    return [
        ({"d_lr": _d_rate(recipe, 0.25)}, "D learns slower"),
        ({"instance_noise": 0.1}, "noise on all that D sees"),
        ({"n_critic": 1}, "fewer updates of D"),
        ({"n_gen": getattr(recipe, "n_gen", 1) + 1}, "more updates of G"),
        *_dropout(recipe, 0.3),
        *_width_of_d(recipe, 0.5),
        ({"real_label": 0.9}, "keeps D from being too sure of real images"),
        ({"flip_labels": 0.05}, "D gets a wrong label now and then"),
    ]


def _of_g_too_strong(recipe: Recipe) -> list[Change]:
    return [
        ({"d_lr": _d_rate(recipe, 4)}, "D learns faster"),
        ({"n_critic": getattr(recipe, "n_critic", 1) + 4}, "more updates of D"),
        ({"n_gen": 1}, "fewer updates of G"),
        *_width_of_d(recipe, 2),
        *_dropout(recipe, 0.0),
    ]


def _of_vanishing(recipe: Recipe) -> list[Change]:
    not_saturating = [({"loss": "non-saturating"}, "its gradient is strong where D is sure")]
    return [
        *(not_saturating if getattr(recipe, "loss", None) == "minimax" else []),
        ({"loss": "wasserstein", "penalty": "wgan-gp"}, "a critic's gradient doesn't vanish"),
        ({"feature_matching": 1.0}, "G learns from D's features too"),
        ({"real_label": 0.9}, "labels smoothed on one side"),
        ({"spectral_norm": True}, "bounds D"),
        ({"d_lr": _d_rate(recipe, 0.25)}, "D learns slower"),
    ]


def _of_mode_collapse(recipe: Recipe) -> list[Change]:
    return [
        ({"batch_norm": True}, "batch norm in G"),
        ({"minibatch_discrimination": 16}, "D compares the images of a batch"),
        ({"loss": "wasserstein", "penalty": "wgan-gp"}, "the distance counts what is missing"),
        ({"unroll": 5}, "G takes D's answer into account"),
        ({"feature_matching": 1.0}, "G matches the mean of D's features"),
        ({"instance_noise": 0.1}, "noise on all that D sees"),
        ({"d_lr": _d_rate(recipe, 0.25)}, "D learns slower"),
    ]


def _of_oscillation(recipe: Recipe) -> list[Change]:
    slower = float(f"{getattr(recipe, 'lr', 1.0) / 4:.3g}")
    return [
        ({"spectral_norm": True}, "bounds D"),
        ({"penalty": "r1", "penalty_weight": 1.0}, "a penalty on D's gradient"),
        ({"lr": slower, "d_lr": _d_rate(recipe, 0.25)}, "both learn slower"),
        ({"real_label": 0.9}, "labels smoothed on one side"),
        ({"batch_norm": True}, "batch norm in G"),
        ({"n_critic": getattr(recipe, "n_critic", 1) + 4}, "more updates of D"),
        ({"historical_averaging": 1.0}, "holds the weights near their mean"),
    ]


def _dropout(recipe: Recipe, rate: float) -> list[Change]:
    name = "dropout" if hasattr(recipe, "dropout") else "d_dropout"
    now = getattr(recipe, name, rate)
    return (
        [({name: rate}, "dropout in D" if rate else "no dropout in D")]
        if (rate == 0) == (now > 0)
        else []
    )


def _width_of_d(recipe: Recipe, factor: float) -> list[Change]:
    why = "a larger D" if factor > 1 else "a smaller D"
    if hasattr(recipe, "ndf"):
        return [({"ndf": max(1, round(recipe.ndf * factor))}, why)]
    if hasattr(recipe, "d_hidden"):
        return [
            ({"d_hidden": tuple(max(1, round(width * factor)) for width in recipe.d_hidden)}, why)
        ]
    return []


_FAILURES: dict[
    str, tuple[Callable[[Figures], list[Evidence]], Callable[[Recipe], list[Change]]]
] = {
    "D too strong": (_d_too_strong, _of_d_too_strong),
    "vanishing gradients": (_vanishing, _of_vanishing),
    "G too strong": (_g_too_strong, _of_g_too_strong),
    "mode collapse": (_mode_collapse, _of_mode_collapse),
    "oscillation": (_oscillation, _of_oscillation),
}  # fmt: skip
