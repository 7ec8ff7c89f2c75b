"""What a run measures about its samples."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.data import ImageDataset
from fastgan.data.digits import DIGIT_NAMES
from fastgan.metrics.digits import NUM_CLASSES, load_digit_classifier
from fastgan.metrics.fd_mobilenet import real_statistics
from fastgan.metrics.features import mobilenet_v2
from fastgan.metrics.frechet import FeatureStatistics, frechet_distance
from fastgan.metrics.modes import mode_coverage
from fastgan.recipes import Networks, Recipe
from fastgan.train.config import WhichMeasures
from fastgan.train.samples import evaluation, sample_batches
from fastgan.train.state import derive_seed

Measures = dict[str, float]
"""Figures by name; which one says how good the samples are, `main_measure` tells."""

MAIN = ("fd_mobilenet_v2", "kl_to_uniform")  # the first that was taken; lower is better


def main_measure(measures: Measures) -> str | None:
    """The figure by which one state is better than another, lower being better; None for data without one."""
    return next((name for name in MAIN if name in measures), None)


def has_measures(dataset: ImageDataset, which: WhichMeasures = "auto") -> bool:
    """Whether `measure` has any for this data."""
    return which == "fd" or dataset.class_names == DIGIT_NAMES


def require_measures(which: WhichMeasures) -> None:
    """Raises MetricError if what `which` needs isn't installed, before a run that would end without its figures."""
    if which == "fd":
        mobilenet_v2()


def measure(
    recipe: Recipe,
    networks: Networks,
    dataset: ImageDataset,
    which: WhichMeasures = "auto",
    *,
    samples: int = 2_000,
) -> Measures:
    """Measures of `samples` generated images; `which` "auto" takes those that the data has, none of most.

    For digits (data whose classes are 0 to 9) the embedded classifier labels each sample: `classes_hit` of
    `num_classes` appear, and `kl_to_uniform` (nats) is the Kullback-Leibler divergence of their histogram
    from the uniform one. With `which` "fd", `fd_mobilenet_v2` is the Fréchet distance to the real images (to 10,000
    of them if there are more) in MobileNetV2's features, as `fastgan.metrics.fd_mobilenet_v2` takes it.
    """
    if not has_measures(dataset, which):
        return {}
    digits = load_digit_classifier() if has_measures(dataset) else None
    network = mobilenet_v2(_device_of(networks)) if which == "fd" else None
    labels: list[Tensor] = []
    generated = FeatureStatistics()
    with evaluation(networks) as networks:
        for images in sample_batches(recipe, networks, samples, seed=derive_seed(recipe.seed, "measures")):
            if digits is not None:
                labels.append(digits.logits(images.cpu()).argmax(1))
            if network is not None:
                generated.update(network.features(images))
    found: Measures = {"samples": samples}
    if digits is not None:
        coverage = mode_coverage(torch.cat(labels), NUM_CLASSES)
        found |= {
            "classes_hit": coverage.classes_hit,
            "num_classes": coverage.num_classes,
            "kl_to_uniform": round(coverage.kl_to_uniform, 4),
        }
    if network is not None:
        real = real_statistics(dataset, network)
        distance = frechet_distance(generated.mean, generated.covariance, real.mean, real.covariance)
        found["fd_mobilenet_v2"] = round(distance, 4)
    return found


def _device_of(networks: Networks) -> str:
    return str(next(p.device for network in networks.values() for p in network.parameters()))
