"""Figures of a recipe's networks: during a run, at its end, and of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from torch import Generator, Tensor

from fastgan.data import ImageDataset, to_float, to_uint8
from fastgan.data.ring import ring_modes
from fastgan.data.stacked_mnist import MODE_NAMES
from fastgan.evaluation.targets import TargetDistances
from fastgan.inference.capabilities import steering
from fastgan.inference.samples import MIN_TILE, evaluation, sample_batches, sample_images
from fastgan.latent import perceptual_path_length
from fastgan.metrics import (
    FeatureNetwork,
    MetricError,
    PerceptualDistance,
    classifier_score,
    equivariance,
    frechet_distance,
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
from fastgan.metrics.equivariance import Equivariance
from fastgan.metrics.feature_networks import FeaturesName
from fastgan.metrics.figures import (
    OF_FEATURES,
    OF_INCEPTION,
    OF_MOTION,
    OF_TARGETS,
    Metric,
    figure_name,
    main_figure,
)
from fastgan.metrics.frechet import FeatureStatistics
from fastgan.metrics.kernel import SUBSET_SIZE, SUBSETS
from fastgan.metrics.paired import require_torchmetrics
from fastgan.metrics.perceptual import SHA256 as PERCEPTUAL_SHA256
from fastgan.metrics.prdc import DENSITY_NEIGHBOUR, PRECISION_NEIGHBOUR
from fastgan.metrics.real import MAX_REAL, RealFeatures, spread
from fastgan.metrics.score import SPLITS
from fastgan.names import unknown
from fastgan.recipes import Networks, Recipe
from fastgan.runtime import versions
from fastgan.seeds import derive_seed

Measures = dict[str, float]
"""Figures by name; `main_measure` chooses the one that ranks checkpoints."""

LEAST = 10
"""Fewest samples, and fewest real images to compare them with."""
# Metz et al. 2017 count modes with 25,600.
SAMPLES, STACKED_SAMPLES = 2_000, 25_600
EPSILON = 1e-4
SHARING = 4
"""Images that share a motion, when equivariance is measured."""

main_measure = main_figure


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
    return bool(_asked(dataset, which))


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
        _asked(dataset, settings.metrics),
        features=settings.features,
        samples=settings.samples,
    )
    if _needs_features(plan):
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
            f"The modes of {dataset.name} can't be counted, since only digits, stacked-mnist "
            f"and ring have a classifier: leave modes out."
        )
    if dataset.resolution == 1 and (pictures := [name for name in taken if name != "modes"]):
        raise MetricError(
            f"{pictures[0]} compares pictures, but {dataset.name} holds points: ask for modes."
        )
    if "ppl" in taken and not hasattr(recipe, "images_of"):
        raise MetricError(
            f"{recipe.name} makes no images of z, so it has no paths to measure: leave ppl out."
        )
    if (of_motion := _of_motion(taken)) and not getattr(recipe, "moves", False):
        raise MetricError(
            f"{recipe.name} has no input that moves, so {of_motion[0]} can't be measured: leave it "
            f"out, or take a StyleGAN3."
        )
    if (of_targets := _of_targets(taken)) and not recipe.paired:
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
    if _needs_features(plan) and len(dataset) < LEAST:
        raise MetricError(
            f"The data must hold at least {LEAST} real images to compare with, got {len(dataset)} "
            f"in {dataset.name}."
        )
    return plan


def measure(
    recipe: Recipe,
    networks: Networks,
    dataset: ImageDataset,
    settings: MeasureSettings = MeasureSettings(),
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
    metrics = _asked(dataset, settings.metrics)
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
        features: "mobilenet", "digits" or "inception"; None as in `make_plan`.
        weights: file of Inception's weights; None takes the one that torch-fidelity downloads.
        samples: at least 10; None as in `make_plan`.
        seed: seed of the samples.
        real: limit of real images, evenly spread over a larger set; None takes all.

    Returns:
        `measures` (figures by name), `settings`, `data` and `versions` that they depend on, as
        plain data for JSON.

    Raises:
        MetricError: a metric can't be taken, or a network's package or weights are missing.
        NonFiniteError: a sample holds infinite or NaN values.
    """
    plan = make_plan(recipe, dataset, metrics, features=features, samples=samples)
    network = _network(plan, weights, networks)
    return {
        "measures": _take(plan, recipe, networks, dataset, network, seed=seed, most=real),
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


def _asked(dataset: ImageDataset, which: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics of `MeasureSettings`: those of the data, then those named."""
    if "none" in which:
        return ()
    return tuple(
        dict.fromkeys([*data_metrics(dataset), *(name for name in which if name != "auto")])
    )


def _needs_features(plan: Plan) -> bool:
    return any(name in OF_FEATURES for name in plan.metrics)


def _of_targets(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in metrics if name in OF_TARGETS)


def _of_motion(metrics: tuple[str, ...]) -> tuple[Equivariance, ...]:
    return tuple(name for name in OF_MOTION if name in metrics)


def _network(plan: Plan, weights: str | Path | None, networks: Networks) -> FeatureNetwork | None:
    if not _needs_features(plan):
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
    labels: list[Tensor] = []
    features: list[Tensor] = []
    of_targets = _of_targets(plan.metrics)
    distances = TargetDistances(of_targets, _device_of(networks)) if of_targets else None
    found: Measures = {}
    bad = 0
    with evaluation(networks) as networks:
        if classify is not None or network is not None or distances is not None:
            noise = derive_seed(seed, "measures")
            for images, rows in sample_batches(
                recipe, networks, plan.samples, seed=noise, dataset=dataset
            ):
                # All are counted before the error that says how many.
                bad += rows_not_finite(images)
                if bad:
                    continue
                if classify is not None:
                    labels.append(classify(images))
                if network is not None:
                    features.append(network.features(images).cpu())
                if distances is not None and rows is not None:
                    distances.add(recipe, networks, rows, images)
        if bad:
            raise not_finite(" and ".join(plan.metrics), "samples", bad, plan.samples)
        if classify is not None:
            coverage = mode_coverage(torch.cat(labels), dataset.num_classes)
            found |= {
                "classes_hit": coverage.classes_hit,
                "num_classes": coverage.num_classes,
                "kl_to_uniform": round(coverage.kl_to_uniform, 4),
            }
            if classify is ring_modes:
                found["near_modes"] = coverage.near
        if network is not None:
            real = real_features(dataset, network, most=most)
            found |= _of_features(plan.metrics, network, torch.cat(features), real)
        if distances is not None:
            found |= distances.means()
        if "ppl" in plan.metrics:
            found |= _path_lengths(recipe, networks, plan.samples, seed=derive_seed(seed, "ppl"))
        for name in _of_motion(plan.metrics):
            found[name] = _equivariance(networks, name, plan.samples, seed=derive_seed(seed, name))
    if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
        raise NonFiniteError(
            f"{wrong[0]} can't be measured: it must be finite, got {found[wrong[0]]}."
        )
    return found


def _of_features(
    metrics: tuple[str, ...], network: FeatureNetwork, generated: Tensor, real: RealFeatures
) -> Measures:
    found: Measures = {}
    if "fd" in metrics:
        ours = FeatureStatistics()
        ours.update(generated)
        theirs = real.statistics
        found["fd"] = frechet_distance(ours.mean, ours.covariance, theirs.mean, theirs.covariance)
    if "kd" in metrics:
        found["kd"], found["kd_std"] = kernel_distance(generated, real.features)
    if "score" in metrics:
        found["score"], found["score_std"] = classifier_score(network.classify(generated).cpu())
    if "prdc" in metrics:
        rows = spread(_of_each(len(generated), len(real.features)), len(real.features))
        found |= prdc(real.features[rows], generated[: len(rows)])._asdict()
    return {_named(name, network.key): float(f"{value:.6g}") for name, value in found.items()}


def _named(name: str, key: str) -> str:
    metric, std, _ = name.partition("_std")
    return figure_name(metric, key) + std


def _of_each(samples: int, real: int) -> int:
    """Return the vectors of each set for precision and its kin, whose figures depend on it."""
    return min(samples, real)


def _path_lengths(recipe: Any, networks: Networks, count: int, *, seed: int) -> Measures:
    """Return path lengths in z, and in w if there is one; paths are drawn by index."""
    G: Any = networks["G"]
    device = next(G.parameters()).device
    generator = Generator().manual_seed(seed)
    ends, places, classes = [], [], []
    for _ in range(count):
        ends.append(torch.randn(2, G.z_dim, generator=generator))
        places.append(torch.rand((), generator=generator))
        if G.c_dim:
            classes.append(torch.randint(G.c_dim, (), generator=generator))
    a, b = torch.stack(ends).to(device).unbind(1)
    t = torch.stack(places).to(device)
    labels = (torch.stack(classes).to(device),) if classes else ()
    distance = PerceptualDistance().to(device)

    def images_of(z: Tensor, *labels: Tensor) -> Tensor:
        images: Tensor = recipe.images_of(networks, z, *labels)
        return images

    def images_of_w(w: Tensor) -> Tensor:
        images: Tensor = G.synthesis(w.expand(-1, G.num_ws, -1), noise_mode="const")
        return images

    found = {
        "ppl_z": perceptual_path_length(
            images_of, a, b, t, *labels, distance=distance, space="z", epsilon=EPSILON
        )
    }
    if "interpolate" in steering(G):
        w_a, w_b = (G.mapping(z, *labels)[:, :1] for z in (a, b))
        found["ppl_w"] = perceptual_path_length(
            images_of_w, w_a, w_b, t, distance=distance, space="w", epsilon=EPSILON
        )
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _equivariance(networks: Networks, metric: Equivariance, count: int, *, seed: int) -> float:
    """Return the equivariance of G in dB, over images of `count` latents drawn by index."""
    G: Any = networks["G"]
    device = next(G.parameters()).device
    generator = Generator().manual_seed(seed)

    def batches() -> Iterator[Tensor]:
        for start in range(0, count, SHARING):
            number = min(SHARING, count - start)
            z = torch.randn(number, G.z_dim, generator=generator).to(device)
            labels = (torch.randint(G.c_dim, (number,), generator=generator),) if G.c_dim else ()
            yield G.mapping(z, *(t.to(device) for t in labels))

    def images_of(ws: Tensor, transform: Tensor | None) -> Tensor:
        images: Tensor = G.synthesis(ws, transform=transform, force_fp32=True)
        return images

    found = equivariance(images_of, batches(), metric, G.resolution, generator)
    return float(f"{found:.6g}")


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
