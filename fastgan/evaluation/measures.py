"""Figures of a recipe's networks: during a run, at its end, and of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastgan.data import ImageDataset, to_float, to_uint8
from fastgan.evaluation.of_generator import EPSILON, equivariance_of, path_lengths
from fastgan.evaluation.plan import (
    OF_THE_DATA,
    MeasureSettings,
    Plan,
    asked_metrics,
    make_plan,
    needs_features,
    of_motion_in,
    of_targets_in,
)
from fastgan.evaluation.targets import TargetDistances
from fastgan.inference.samples import MIN_TILE, evaluation, sample_batches, sample_images
from fastgan.metrics import (
    FeatureNetwork,
    MetricError,
    classifier_score,
    kernel_distance,
    mode_classifier,
    mode_coverage,
    nearest_neighbours,
    neighbour_grid,
    open_features,
    prdc,
    real_features,
)
from fastgan.metrics.checks import NonFiniteError, not_finite, rows_not_finite
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import (
    figure_name,
    main_figure,
)
from fastgan.metrics.frechet import FeatureStatistics
from fastgan.metrics.kernel import SUBSET_SIZE, SUBSETS
from fastgan.metrics.modes import SURE, ClassReading
from fastgan.metrics.perceptual import SHA256 as PERCEPTUAL_SHA256
from fastgan.metrics.prdc import DENSITY_NEIGHBOUR, PRECISION_NEIGHBOUR
from fastgan.metrics.real import MAX_REAL, RealFeatures, spread
from fastgan.metrics.score import SPLITS
from fastgan.recipes import Networks, Recipe
from fastgan.runtime import versions
from fastgan.seeds import derive_seed

Measures = dict[str, float]
"""Figures by name; `main_measure` chooses the one that ranks checkpoints."""

main_measure = main_figure


def measure(
    recipe: Recipe,
    networks: Networks,
    dataset: ImageDataset,
    settings: MeasureSettings = OF_THE_DATA,
    *,
    seed: int = 0,
    samples: int | None = None,
) -> Measures:
    """Return the measures that a run asks for, and `samples`, their number; empty without measures.

    The data's own measures are added, unless `settings.metrics` is "none".

    Args:
        seed: seed of the samples.
        samples: takes precedence over `settings.samples`.

    Raises:
        MetricError: a metric can't be taken.
        NonFiniteError: a sample holds infinite or NaN values.
    """
    metrics = asked_metrics(dataset, settings.metrics)
    if not metrics:
        return {}
    plan = make_plan(
        recipe,
        dataset,
        metrics,
        features=settings.features,
        samples=samples or settings.samples,
    )
    network = _network(plan, settings.weights, networks)
    taken = _take(plan, recipe, networks, dataset, network, seed=seed, most=MAX_REAL)
    return {"samples": plan.samples, **taken}


def evaluate(
    recipe: Recipe,
    networks: Networks,
    dataset: ImageDataset,
    metrics: Sequence[str],
    *,
    features: FeaturesName | None = None,
    weights: str | Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    real: int | None = MAX_REAL,
) -> dict[str, Any]:
    """Measure generated images against a data set.

    Samples are drawn by index from the seed. With a run's own seed and number of samples the
    figures are those that the run measured.

    Args:
        networks: networks that draw the samples (`TrainState.sampler`).
        metrics: names in `fastgan.metrics.figures.Metric`. Those of targets are for a `paired`
            recipe, and measure its `baseline` too.
        features: "mobilenet", "digits", "faces" or "inception"; None as in `make_plan`.
        weights: file of Inception's weights; None takes the one that torch-fidelity downloads.
        samples: at least 10; None as in `make_plan`.
        seed: seed of the samples.
        real: limit of real images, evenly spread over a larger set; None takes all.

    Returns:
        Plain data for JSON: `measures`, figures by name; `floors`, Fréchet distances of real
        images from other real images; `settings`, `data` and `versions` that they depend on.

    Raises:
        MetricError: a metric can't be taken, or a network's package or weights are missing.
        NonFiniteError: a sample holds infinite or NaN values.
    """
    plan = make_plan(recipe, dataset, metrics, features=features, samples=samples)
    network = _network(plan, weights, networks)
    return {
        "measures": _take(plan, recipe, networks, dataset, network, seed=seed, most=real),
        "floors": _floors(plan, dataset, network, most=real),
        "settings": _settings(plan, network, dataset, seed=seed, most=real),
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "images": len(dataset),
            "channels": dataset.channels,
            "resolution": dataset.resolution,
        },
        "versions": versions(),
    }


def draw_neighbours(
    recipe: Recipe,
    networks: Networks,
    dataset: ImageDataset,
    *,
    features: FeaturesName | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    rows: int = 8,
    columns: int = 5,
    real: int | None = MAX_REAL,
) -> Tensor:
    """Draw the first samples of a seed, each beside the real images nearest to it.

    Small images are enlarged to at least 64 pixels.

    Args:
        features: network of the features that are compared; None compares pixels.
        rows: number of samples.
        columns: real images for each.
        real: limit of real images, evenly spread over a larger set; None takes all.

    Returns:
        uint8 `[3, height, width]`.

    Raises:
        MetricError: a network's package or weights are missing, or there are fewer real images
            than columns.
    """
    seed = derive_seed(seed, "measures")
    samples = to_uint8(sample_images(recipe, networks, rows, seed=seed, dataset=dataset))
    indices = spread(len(dataset) if real is None else real, len(dataset))
    if len(indices) < columns:
        raise MetricError(
            f"The data must hold at least {columns} images, one for each neighbour, got "
            f"{len(indices)} in {dataset.name}."
        )
    if features is None:
        queries = to_float(samples).flatten(1)
        batches = (to_float(dataset.batch(part)[0]).flatten(1) for part in indices.split(256))
        found = nearest_neighbours(queries, batches, columns)
    else:
        network = open_features(features, weights=weights, device=_device_of(networks))
        queries = network.features(to_float(samples)).cpu()
        references = real_features(dataset, network, most=real).features
        found = nearest_neighbours(queries, references.split(4096), columns)
    scale = max(1, MIN_TILE // dataset.resolution)
    return neighbour_grid(samples, dataset, indices[found.indices], scale=scale)


def _network(plan: Plan, weights: str | Path | None, networks: Networks) -> FeatureNetwork | None:
    if not needs_features(plan):
        return None
    return open_features(plan.features, weights=weights, device=_device_of(networks))


def _take(
    plan: Plan,
    recipe: Recipe,
    networks: Networks,
    dataset: ImageDataset,
    network: FeatureNetwork | None,
    *,
    seed: int,
    most: int | None,
) -> Measures:
    classify = (
        mode_classifier(dataset.class_names, dataset.channels) if "modes" in plan.metrics else None
    )
    readings: list[ClassReading] = []
    requested: list[Tensor] = []
    features: list[Tensor] = []
    of_targets = of_targets_in(plan.metrics)
    distances = TargetDistances(of_targets, _device_of(networks)) if of_targets else None
    found: Measures = {}
    bad = 0
    with evaluation(networks) as networks:
        if classify is not None or network is not None or distances is not None:
            noise = derive_seed(seed, "measures")
            for images, rows, classes in sample_batches(
                recipe, networks, plan.samples, seed=noise, dataset=dataset
            ):
                # All are counted before the error that says how many.
                bad += rows_not_finite(images)
                if bad:
                    continue
                if classify is not None:
                    readings.append(classify(images))
                    if classes is not None:
                        requested.append(classes.cpu())
                if network is not None:
                    features.append(network.features(images).cpu())
                if distances is not None and rows is not None:
                    distances.add(recipe, networks, rows, images)
        if bad:
            raise not_finite(" and ".join(plan.metrics), "samples", bad, plan.samples)
        if classify is not None:
            found |= _of_classes(readings, requested, dataset.num_classes)
        if network is not None:
            real = real_features(dataset, network, most=most)
            found |= _of_features(plan.metrics, network, torch.cat(features), real)
        if distances is not None:
            found |= distances.means()
        if "ppl" in plan.metrics:
            found |= path_lengths(recipe, networks, plan.samples, seed=derive_seed(seed, "ppl"))
        for name in of_motion_in(plan.metrics):
            found[name] = equivariance_of(
                networks, name, plan.samples, seed=derive_seed(seed, name)
            )
    if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
        raise NonFiniteError(
            f"{wrong[0]} can't be measured: it must be finite, got {found[wrong[0]]}."
        )
    return found


def _of_classes(
    readings: list[ClassReading], requested: list[Tensor], num_classes: int
) -> Measures:
    classes = torch.cat([reading.classes for reading in readings])
    coverage = mode_coverage(classes, num_classes)
    found: Measures = {
        "classes_hit": coverage.classes_hit,
        "num_classes": coverage.num_classes,
        "kl_to_uniform": round(coverage.kl_to_uniform, 4),
    }
    confidence = [r.confidence for r in readings if r.confidence is not None]
    if not confidence:
        return found | {"near_modes": coverage.near}
    sure = (torch.cat(confidence) > SURE).double().mean().item()
    found |= {
        "largest_class": round(coverage.largest, 4),
        "smallest_class": round(coverage.smallest, 4),
        "sure": round(sure, 4),
    }
    if requested:
        share = (classes == torch.cat(requested)).double().mean().item()
        found["as_requested"] = round(share, 4)
    return found


def _of_features(
    metrics: tuple[str, ...], network: FeatureNetwork, generated: Tensor, real: RealFeatures
) -> Measures:
    found: Measures = {}
    if "fd" in metrics:
        found["fd"] = FeatureStatistics.of(generated).distance(real.statistics)
    if "kd" in metrics:
        found["kd"], found["kd_std"] = kernel_distance(generated, real.features)
    if "score" in metrics:
        found["score"], found["score_std"] = classifier_score(network.classify(generated).cpu())
    if "prdc" in metrics:
        rows = spread(_of_each(len(generated), len(real.features)), len(real.features))
        found |= prdc(real.features[rows], generated[: len(rows)])._asdict()
    return {_named(name, network.key): float(f"{value:.6g}") for name, value in found.items()}


def _floors(
    plan: Plan, dataset: ImageDataset, network: FeatureNetwork | None, *, most: int | None
) -> Measures:
    if network is None or "fd" not in plan.metrics:
        return {}
    floor = real_features(dataset, network, most=most).floor(plan.samples)
    return {_named("fd", network.key): float(f"{floor:.6g}")}


def _named(name: str, key: str) -> str:
    metric, std, _ = name.partition("_std")
    return figure_name(metric, key) + std


def _of_each(samples: int, real: int) -> int:
    """Return the vectors of each set for precision and its kin, whose figures depend on it."""
    return min(samples, real)


def _settings(
    plan: Plan,
    network: FeatureNetwork | None,
    dataset: ImageDataset,
    *,
    seed: int,
    most: int | None,
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "metrics": list(plan.metrics),
        "samples": plan.samples,
        "seed": seed,
    }
    if network is not None:
        real = len(dataset) if most is None else min(most, len(dataset))
        settings["features"] = {
            "network": network.name,
            "sha256": network.sha256,
            "images": network.preparation,
            "real_images": real,
        }
        settings["kd"] = {
            "subsets": SUBSETS,
            "subset_size": min(SUBSET_SIZE, plan.samples, real),
            "seed": 0,
        }
        settings["score"] = {"splits": SPLITS}
        settings["prdc"] = {
            "vectors": _of_each(plan.samples, real),
            "precision_neighbour": PRECISION_NEIGHBOUR,
            "density_neighbour": DENSITY_NEIGHBOUR,
        }
    settings["perceptual"] = {"network_sha256": PERCEPTUAL_SHA256}
    settings["ppl"] = {
        "paths": plan.samples,
        "epsilon": EPSILON,
        "network_sha256": PERCEPTUAL_SHA256,
    }
    taken = ("metrics", "samples", "seed", "features", *plan.metrics)
    return {name: value for name, value in settings.items() if name in taken}


def _device_of(networks: Networks) -> str:
    return str(next(p.device for network in networks.values() for p in network.parameters()))
