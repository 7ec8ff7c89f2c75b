"""What a finished run measures about its samples."""

from __future__ import annotations

import torch

from fastgan.data import ImageDataset
from fastgan.data.digits import DIGIT_NAMES
from fastgan.metrics.digits import load_digit_classifier
from fastgan.metrics.modes import mode_coverage
from fastgan.recipes import Networks, Recipe
from fastgan.train.samples import sample_images
from fastgan.train.state import derive_seed

Measures = dict[str, float]
"""Figures by name; which one says how good the samples are, `main_measure` tells."""


def main_measure(measures: Measures) -> str | None:
    """The figure by which one state is better than another, lower being better; None for data without one."""
    return "kl_to_uniform" if "kl_to_uniform" in measures else None


def has_measures(dataset: ImageDataset) -> bool:
    """Whether `measure` has any for this data."""
    return dataset.class_names == DIGIT_NAMES


def measure(recipe: Recipe, networks: Networks, dataset: ImageDataset, *, samples: int = 2_000) -> Measures:
    """Measures of `samples` generated images; empty for data without a measure.

    For digits (data whose classes are 0 to 9) the embedded classifier labels each sample: `classes_hit` of
    `num_classes` appear, and `kl_to_uniform` (nats) is the Kullback-Leibler divergence of their histogram
    from the uniform one.
    """
    if not has_measures(dataset):
        return {}
    images = sample_images(recipe, networks, samples, seed=derive_seed(recipe.seed, "measures"))
    classifier = load_digit_classifier().eval()
    with torch.no_grad():
        labels = torch.cat([classifier.logits(part).argmax(1) for part in images.split(256)])
    coverage = mode_coverage(labels, dataset.num_classes)
    return {
        "samples": samples,
        "classes_hit": coverage.classes_hit,
        "num_classes": coverage.num_classes,
        "kl_to_uniform": round(coverage.kl_to_uniform, 4),
    }
