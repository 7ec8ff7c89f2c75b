"""What measures are called: in commands, in files and in tables. Only what Inception's features give is FID, KID or IS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Metric = Literal[
    "fd", "kd", "score", "prdc", "ppl", "modes", "fid", "kid", "is", "l1", "psnr", "ssim", "perceptual"
]  # fmt: skip
"""fd, kd, score, prdc: of the features chosen. ppl: of the embedded perceptual network. modes: of a classifier of the
data's classes. fid, kid, is: fd, kd and score of Inception's features. l1, psnr, ssim, perceptual: of samples and the
targets that recipes with pairs have for them, the last by the embedded perceptual network."""

OF_FEATURES = ("fd", "kd", "score", "prdc")
OF_TARGETS = ("l1", "psnr", "ssim", "perceptual")
OF_INCEPTION = {"fid": "fd", "kid": "kd", "is": "score"}

CLASSES = "classes that appear"

_FEATURES = {"mobilenet_v2": "MobileNetV2", "digits": "digits", "inception": "Inception"}
_PLAIN = {
    "fid": ("FID", "lower"),
    "kid": ("KID", "lower"),
    "is": ("IS", "higher"),
    "ppl_z": ("path length in z, embedded network", "lower"),
    "ppl_w": ("path length in w, embedded network", "lower"),
    "kl_to_uniform": ("KL to uniform", "lower"),
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


class Figure(NamedTuple):
    """A measure for people. label: what it is, and in which features. value: as text. better: "lower" or "higher"."""

    label: str
    value: str
    better: str


def figure_name(metric: str, features: str) -> str:
    """The name of a figure that was taken in the features of this key: ``fd_mobilenet_v2``, or ``fid`` for Inception's."""
    if features == "inception":
        for name, ours in OF_INCEPTION.items():
            if ours == metric:
                return name
    return f"{metric}_{features}"


def figures(measures: Mapping[str, float]) -> list[Figure]:
    """The measures as a table has them, each with what stands beside it."""
    found = []
    if "classes_hit" in measures:
        shown = f"{measures['classes_hit']:,} of {measures['num_classes']:,}"
        found.append(Figure(CLASSES, shown, "higher"))
    for name in measures:
        described = _describe(name)
        if described is not None:
            label, better = described
            found.append(Figure(label, figure_text(measures, name), better))
    return found


def figure_text(measures: Mapping[str, float], name: str) -> str:
    """A measure as a table has it: with its deviation, and in brackets what baselines have."""
    text = f"{measures[name]:.3f}" if name == "kl_to_uniform" else f"{measures[name]:.4g}"
    if f"{name}_std" in measures:
        text += f" ± {measures[f'{name}_std']:.2g}"
    for other, value in measures.items():
        if other.startswith(f"{name}_of_"):
            text += f" ({other.removeprefix(f'{name}_of_')} {value:.4g})"
    return text


def main_figure(measures: Mapping[str, float]) -> str | None:
    """The name of the figure by which one state is better than another, lower being better; None if there is none.

    A Fréchet distance before a kernel distance, then what is nearest to targets, then the KL divergence of the classes.
    """
    lower = [name for name in measures if (_describe(name) or ("", ""))[1] == "lower"]
    for start in _FINEST_FIRST:
        for name in lower:
            if name == start or name.startswith(f"{start}_"):
                return name
    return None


def _describe(name: str) -> tuple[str, str] | None:
    """Label, and whether lower or higher is better; None for what stands beside another figure."""
    if name in _PLAIN:
        return _PLAIN[name]
    metric, _, features = name.partition("_")
    if metric in _OF_FEATURES and features in _FEATURES:
        label, better = _OF_FEATURES[metric]
        return label.format(_FEATURES[features]), better
    return None
