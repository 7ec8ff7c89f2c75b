"""Choice of the measures to take, and its checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, get_args

from fastgan.data import ImageDataset
from fastgan.data.stacked_mnist import MODE_NAMES
from fastgan.metrics import (
    MetricError,
    mode_classifier,
    open_features,
)
from fastgan.metrics.equivariance import Equivariance
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import (
    OF_FEATURES,
    OF_INCEPTION,
    OF_MOTION,
    OF_TARGETS,
    Metric,
)
from fastgan.metrics.paired import require_torchmetrics
from fastgan.names import unknown
from fastgan.recipes import Recipe

LEAST = 10
"""Fewest samples, and fewest real images to compare them with."""
# Metz et al. 2017 count modes with 25,600.
SAMPLES, STACKED_SAMPLES = 2_000, 25_600


@dataclass(frozen=True)
class MeasureSettings:
    """Measures that a run takes.

    Attributes:
        metrics: names of metrics; "auto" stands for those of the data, "none" for no measure.
        features: network of the features; None is chosen by `make_plan`.
        weights: file of Inception's weights; None is the one that torch-fidelity downloads.
        samples: number of samples; None is chosen by `make_plan`.
    """

    metrics: Sequence[str] = ("auto",)
    features: FeaturesName | None = None
    weights: str | None = None
    samples: int | None = None


OF_THE_DATA = MeasureSettings()
"""The measures of the data itself."""


class Plan(NamedTuple):
    """Measures to take.

    Attributes:
        metrics: names of metrics; fd, kd and score in place of fid, kid and is.
        features: network of the features.
        samples: number of samples.
    """

    metrics: tuple[str, ...]
    features: FeaturesName
    samples: int


def data_metrics(dataset: ImageDataset) -> tuple[str, ...]:
    """Return the metrics of the data itself: modes, if there is a classifier for its classes."""
    return ("modes",) if mode_classifier(dataset.class_names, dataset.channels) is not None else ()


def has_measures(dataset: ImageDataset, which: Sequence[str] = ("auto",)) -> bool:
    """Return True if `measure` takes any measure of this data."""
    return bool(asked_metrics(dataset, which))


def compared_by(dataset: ImageDataset, which: Sequence[str] = ("auto",)) -> str | None:
    """Return the metric that runs are compared by: the first one named, or else the data's own."""
    named = [name for name in which if name not in ("auto", "none")]
    return next(iter([*named, *data_metrics(dataset)]), None)


def require_measures(recipe: Recipe, dataset: ImageDataset, settings: MeasureSettings) -> None:
    """Check before a run that its measures can be taken.

    Raises:
        MetricError: a metric can't be taken, or a network's package or weights are missing.
    """
    plan = make_plan(
        recipe,
        dataset,
        asked_metrics(dataset, settings.metrics),
        features=settings.features,
        samples=settings.samples,
    )
    if needs_features(plan):
        open_features(plan.features, weights=settings.weights)


def make_plan(
    recipe: Recipe,
    dataset: ImageDataset,
    metrics: Sequence[str],
    *,
    features: FeaturesName | None = None,
    samples: int | None = None,
) -> Plan:
    """Return the measures to take, each metric once.

    Args:
        metrics: names in `fastgan.metrics.figures.Metric`.
        features: None takes Inception for fid, kid and is, and MobileNetV2 for others.
        samples: None takes 2,000, or 25,600 for the modes of Stacked MNIST.

    Raises:
        MetricError: a metric is unknown, or can't be taken of this recipe on this data.
    """
    for name in metrics:
        if name not in get_args(Metric):
            raise MetricError(unknown("metric", name, get_args(Metric)))
    named = [name for name in metrics if name in OF_INCEPTION]
    if named and features not in (None, "inception"):
        raise MetricError(
            f"`features` must be inception for {named[0]}, got {features!r}: ask for "
            f"{OF_INCEPTION[named[0]]}, or leave the features out."
        )
    taken = tuple(dict.fromkeys(OF_INCEPTION.get(name, name) for name in metrics))
    if "modes" in taken and not data_metrics(dataset):
        raise MetricError(
            f"The modes of {dataset.name} can't be counted, since only digits, stacked-mnist, "
            f"faces and ring have a classifier: leave modes out."
        )
    if dataset.resolution == 1 and (pictures := [name for name in taken if name != "modes"]):
        raise MetricError(
            f"{pictures[0]} compares pictures, but {dataset.name} holds points: ask for modes."
        )
    if "ppl" in taken and not hasattr(recipe, "images_of"):
        raise MetricError(
            f"{recipe.name} makes no images of z, so it has no paths to measure: leave ppl out."
        )
    if (of_motion := of_motion_in(taken)) and not getattr(recipe, "moves", False):
        raise MetricError(
            f"{recipe.name} has no input that moves, so {of_motion[0]} can't be measured: leave it "
            f"out, or take a StyleGAN3."
        )
    if (of_targets := of_targets_in(taken)) and not recipe.paired:
        raise MetricError(
            f"{recipe.name} makes images that have no targets to be compared with: leave "
            f"{' and '.join(of_targets)} out."
        )
    if "psnr" in taken or "ssim" in taken:
        require_torchmetrics()
    if samples is None:
        samples = (
            STACKED_SAMPLES if "modes" in taken and dataset.class_names == MODE_NAMES else SAMPLES
        )
    if samples < LEAST:
        raise MetricError(f"`samples` must be at least {LEAST}, got {samples}.")
    plan = Plan(taken, features or ("inception" if named else "mobilenet"), samples)
    if needs_features(plan) and len(dataset) < LEAST:
        raise MetricError(
            f"The data must hold at least {LEAST} real images to compare with, got {len(dataset)} "
            f"in {dataset.name}."
        )
    return plan


def asked_metrics(dataset: ImageDataset, which: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics of `MeasureSettings`: those of the data, then those named."""
    if "none" in which:
        return ()
    return tuple(
        dict.fromkeys([*data_metrics(dataset), *(name for name in which if name != "auto")])
    )


def needs_features(plan: Plan) -> bool:
    return any(name in OF_FEATURES for name in plan.metrics)


def of_targets_in(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in metrics if name in OF_TARGETS)


def of_motion_in(metrics: tuple[str, ...]) -> tuple[Equivariance, ...]:
    return tuple(name for name in OF_MOTION if name in metrics)
