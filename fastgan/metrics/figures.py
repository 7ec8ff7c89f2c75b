"""Names of measures in commands, files and tables.

Only Inception's features give FID, KID and IS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Metric = Literal[
    "fd",
    "kd",
    "score",
    "prdc",
    "ppl",
    "eqt",
    "eqt_frac",
    "eqr",
    "modes",
    "fid",
    "kid",
    "is",
    "l1",
    "psnr",
    "ssim",
    "perceptual",
]
"""Measure by its name in commands.

- ``fd``, ``kd``, ``score``, ``prdc``: measures in the chosen features.
- ``ppl``: path length by the embedded perceptual network.
- ``eqt``, ``eqt_frac``, ``eqr``: equivariance to translations by whole pixels and by any distance,
  and to rotations, of generators whose input moves.
- ``modes``: coverage by a classifier of the data's classes.
- ``fid``, ``kid``, ``is``: ``fd``, ``kd`` and ``score`` in Inception's features.
- ``l1``, ``psnr``, ``ssim``, ``perceptual``: distance of samples from their targets, for recipes
  with pairs. ``perceptual`` uses the embedded network.
"""

OF_FEATURES = ("fd", "kd", "score", "prdc")
"""Measures in the chosen features."""
OF_TARGETS = ("l1", "psnr", "ssim", "perceptual")
"""Measures of samples and their targets."""
OF_MOTION: tuple[Literal["eqt", "eqt_frac", "eqr"], ...] = ("eqt", "eqt_frac", "eqr")
"""Measures of generators whose input moves."""
OF_INCEPTION = {"fid": "fd", "kid": "kd", "is": "score"}
"""Measures in Inception's features, and their names in other features."""

CLASSES = "classes that appear"
"""Label of the number of classes among samples."""

_FEATURES = {
    "mobilenet_v2": "MobileNetV2",
    "digits": "digits",
    "faces": "faces",
    "inception": "Inception",
}
_PLAIN = {
    "fid": ("FID", "lower"),
    "kid": ("KID", "lower"),
    "is": ("IS", "higher"),
    "ppl_z": ("path length in z, embedded network", "lower"),
    "ppl_w": ("path length in w, embedded network", "lower"),
    "eqt": ("EQ-T, dB", "higher"),
    "eqt_frac": ("EQ-T of fractions of pixels, dB", "higher"),
    "eqr": ("EQ-R, dB", "higher"),
    "kl_to_uniform": ("KL to uniform", "lower"),
    "largest_class": ("share of samples in the largest class", "lower"),
    "smallest_class": ("share of samples in the smallest class", "higher"),
    "as_requested": ("share of samples of the requested class", "higher"),
    "sure": ("share of samples that the classifier is over 0.9 sure of", "higher"),
    "near_modes": ("share of samples near a mode", "higher"),
    "l1": ("L1", "lower"),
    "psnr": ("PSNR, dB", "higher"),
    "ssim": ("SSIM", "higher"),
    "perceptual": ("perceptual distance, embedded network", "lower"),
}
_OF_FEATURES = {
    "fd": ("FD-{}", "lower"),
    "kd": ("KD-{}", "lower"),
    "score": ("classifier score, {}", "higher"),
    "precision": ("precision, {}", "higher"),
    "recall": ("recall, {}", "higher"),
    "density": ("density, {}", "higher"),
    "coverage": ("coverage, {}", "higher"),
}
_FINEST_FIRST = ("fid", "fd", "kid", "kd", "perceptual", "l1", "kl_to_uniform")

_STANDING = {
    "modes": ("kl_to_uniform",),
    "prdc": ("coverage",),
    "ppl": ("ppl_w", "ppl_z"),
    **{general: (general, name) for name, general in OF_INCEPTION.items()},
}


class Figure(NamedTuple):
    """A measure as a row of a table."""

    label: str
    """Name of the measure and its features for the user."""
    value: str
    """Value as text."""
    better: str
    """``"lower"`` or ``"higher"``."""


def figure_name(metric: str, features: str) -> str:
    """Return the name of a measure in a file: ``fd_mobilenet_v2``, or ``fid`` for Inception's.

    Args:
        metric: one of ``OF_FEATURES``.
        features: key of the network of the features.
    """
    if features == "inception":
        for name, general in OF_INCEPTION.items():
            if general == metric:
                return name
    return f"{metric}_{features}"


def figures(measures: Mapping[str, float]) -> list[Figure]:
    """Return the rows of a table of measures, with deviations and baselines beside values."""
    rows = []
    if "classes_hit" in measures:
        value = f"{measures['classes_hit']:,} of {measures['num_classes']:,}"
        rows.append(Figure(CLASSES, value, "higher"))
    for name in measures:
        description = describe(name)
        if description is not None:
            label, better = description
            rows.append(Figure(label, figure_text(measures, name), better))
    return rows


def figure_text(measures: Mapping[str, float], name: str) -> str:
    """Format a measure for a table: with its deviation, and in brackets those of baselines."""
    text = f"{measures[name]:.3f}" if name == "kl_to_uniform" else f"{measures[name]:.4g}"
    if f"{name}_std" in measures:
        text += f" ± {measures[f'{name}_std']:.2g}"
    for other, value in measures.items():
        if other.startswith(f"{name}_of_"):
            text += f" ({other.removeprefix(f'{name}_of_')} {value:.4g})"
    return text


def main_figure(measures: Mapping[str, float]) -> str | None:
    """Choose the measure by which checkpoints are compared, lower being better.

    A Fréchet distance takes precedence over a kernel distance. Distances from targets follow, then
    the KL divergence of the classes.

    Returns:
        Name of the measure, None if there is none.
    """
    lower = [name for name in measures if (describe(name) or ("", ""))[1] == "lower"]
    for start in _FINEST_FIRST:
        for name in lower:
            if name == start or name.startswith(f"{start}_"):
                return name
    return None


def figure_of(metric: str, measures: Mapping[str, float]) -> str | None:
    """Return the measure that stands for a metric when runs are compared.

    Coverage stands for ``prdc``, the KL divergence for ``modes``, and the path length in w, where
    there is one, for ``ppl``.

    Returns:
        Name of the measure, None if there is none.
    """
    for start in _STANDING.get(metric, (metric,)):
        for name in measures:
            if describe(name) is not None and (name == start or name.startswith(f"{start}_")):
                return name
    return None


def describe(name: str) -> tuple[str, str] | None:
    """Return label and better direction of a measure; None for a part of another measure."""
    if name in _PLAIN:
        return _PLAIN[name]
    metric, _, features = name.partition("_")
    if metric in _OF_FEATURES and features in _FEATURES:
        label, better = _OF_FEATURES[metric]
        return label.format(_FEATURES[features]), better
    return None
