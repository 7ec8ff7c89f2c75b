"""Failures of GAN training, the figures that show them, and remedies as settings of the recipe.

The thresholds were set on small runs, some broken on purpose (docs/diagnose.md has their figures).
They avoid false alarms first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fastgan.diagnose import remedies
from fastgan.diagnose.figures import Figures
from fastgan.diagnose.remedies import Change, Remedy, offered
from fastgan.recipes import Recipe

# Certainty of D: nearly never wrong, undecided, and the peak of one that always was.
SURE, BLIND, NEVER_LED = 0.8, 0.1, 0.2
# Shares: of rows, of real images near a sample, of classes, of steps.
FOOLED, MISSED, LOST_MODES, SKIPPED = 0.75, 0.5, 0.5, 0.01
# Relative to real images: distance from each to the next, and variance.
ALIKE, NARROW = 0.4, 0.3
# The same of outputs: real images have details that no output needs to have.
SAME = 0.05
# Relative to real images: change of outputs, features, sharpness, checkerboard, L1.
IGNORED, UNLIKE, BLURRED, NOISY, TILED, NO_NEARER = 0.05, 20.0, 0.05, 2.5, 5.0, 1.5
# Relative to the highest gradient of the run.
VANISHED = 0.15
# Noise about 0 has a swing of 1.25 times its size.
SWING, LOGIT_SWING, LOSS_SWING = 0.15, 0.28, 1.5


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


@dataclass(frozen=True)
class Symptom:
    """A failure, the evidence for it, and remedies."""

    name: str
    evidence: tuple[Evidence, ...]
    remedies: tuple[Remedy, ...]


def symptoms_of(figures: Figures, recipe: Recipe) -> tuple[Symptom, ...]:
    """Return the failures that the figures show, the gravest first; missing figures show none.

    One number that contradicts a graver failure's remedy is left out, such as a lower rate of D
    after a higher one.
    """
    found: list[Symptom] = []
    numbers: dict[str, float] = {}
    for name, evidence in evidence_of(figures).items():
        kept: list[Remedy] = []
        for remedy in offered(recipe, FAILURES[name][1](recipe)):
            number = _number(remedy)
            if all(numbers.get(setting, value) == value for setting, value in number.items()):
                kept.append(remedy)
                numbers |= number
        found.append(Symptom(name, evidence, tuple(kept)))
    return tuple(found)


def _number(remedy: Remedy) -> dict[str, float]:
    """Return the setting of a remedy that changes one number alone; empty for others."""
    numbers = {n: v for n, v in remedy.settings.items() if type(v) in (int, float)}
    return numbers if len(remedy.settings) == 1 else {}


def evidence_of(figures: Figures) -> dict[str, tuple[Evidence, ...]]:
    """Return the evidence of each failure that the figures show, by its name."""
    found = {name: tuple(sees(figures)) for name, (sees, _) in FAILURES.items()}
    return {name: evidence for name, evidence in found.items() if evidence}


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
    """Return evidence of samples that are alike, or that ignore what they are made of."""
    if "input_effect" in f:
        real = "of the distance between real images"
        return [
            *_below(f, "input_effect", IGNORED, f"change of outputs with their input, {real}"),
            *_below(f, "noise_effect", IGNORED, f"change of outputs with the noise, {real}"),
            *_below(f, "apart", SAME, f"distance from output to output, {real}"),
        ]
    return [
        *_below(f, "apart", ALIKE, "distance from sample to sample, of that between real images"),
        *_below(f, "spread", NARROW, "variance of the samples, of the real images'"),
        *_below(f, "classes_shown", LOST_MODES, "share of the classes that appear"),
    ]


def _oscillation(f: Figures) -> list[Evidence]:
    by_loss = "certainty" in f and "certainty_swing" not in f
    what, bound = ("D's certainty", SWING) if by_loss else ("D's loss, of its size", LOSS_SWING)
    lines = "from line to line of the log"
    return [
        *_above(f, "certainty_swing", LOGIT_SWING, f"swings of D's certainty, {lines}"),
        *_above(f, "swing", bound, f"swings of {what}, {lines}"),
        *_above(f, "skipped", SKIPPED, "updates left out because they weren't finite, per step"),
    ]


def _poor_quality(f: Figures) -> list[Evidence]:
    """Return evidence of samples that don't look like real images."""
    return [
        *_above(f, "features", UNLIKE, "distance of features, of that between real images"),
        *_below(f, "sharpness", BLURRED, "sharpness of the samples, of that of real images"),
        *_above(f, "sharpness", NOISY, "sharpness of the samples, of that of real images"),
        *_above(f, "checkerboard", TILED, "stripes and boards of a pixel, of those of real images"),
        *_above(f, "l1_share", NO_NEARER, "L1 distance from the targets, of the best baseline's"),
    ]


def _misses(f: Figures) -> bool:
    """Return True if the samples differ from the data, or weren't examined."""
    return f.get("covered", 0.0) < MISSED


def _above(f: Figures, name: str, threshold: float, says: str) -> list[Evidence]:
    return [Evidence(name, f[name], threshold, says)] if name in f and f[name] > threshold else []


def _below(f: Figures, name: str, threshold: float, says: str) -> list[Evidence]:
    return [Evidence(name, f[name], threshold, says)] if name in f and f[name] < threshold else []


FAILURES: dict[
    str, tuple[Callable[[Figures], list[Evidence]], Callable[[Recipe], list[Change | Remedy]]]
] = {
    "D too strong": (_d_too_strong, remedies.of_d_too_strong),
    "vanishing gradients": (_vanishing, remedies.of_vanishing),
    "G too strong": (_g_too_strong, remedies.of_g_too_strong),
    "mode collapse": (_mode_collapse, remedies.of_mode_collapse),
    "oscillation": (_oscillation, remedies.of_oscillation),
    "poor quality": (_poor_quality, remedies.of_poor_quality),
}
"""Function that sees a failure, and its remedies, by the failure's name, the gravest first."""
