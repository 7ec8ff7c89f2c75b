"""FD-MobileNetV2: the Fréchet distance of two sets of images in MobileNetV2's features.

No FID: with another network, resolution and number of images its figures are others. It ranks states and runs on the same
data, measured with the same number of images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from fastgan.data import ImageDataset, to_float
from fastgan.metrics.features import RESOLUTION, SHA256, MobileNetV2, mobilenet_v2
from fastgan.metrics.frechet import FeatureStatistics, frechet_distance

MAX_REAL = 10_000
_CHUNK = 256
_known: dict[str, FeatureStatistics] = {}


def fd_mobilenet_v2(images_a: Tensor, images_b: Tensor, *, device: str = "cpu") -> float:
    """Their Fréchet distance, 0 for the same images; biased upwards the more, the fewer there are.

    Args:
        images_a, images_b: ``[N, 1 or 3, H, W]`` in [-1, 1], N at least 2, any float dtype and any resolution.
        device: where the network runs.

    Raises:
        MetricError: torchvision or the weights are missing.
        TypeError: not floating-point.
        ValueError: wrong shape, or less than 2 images.
    """
    network = mobilenet_v2(device)
    a, b = (statistics_of([images], network) for images in (images_a, images_b))
    return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)


def statistics_of(batches: Iterable[Tensor], network: MobileNetV2) -> FeatureStatistics:
    """Statistics of the features of all images in ``batches``, each as ``network.features`` takes them."""
    statistics = FeatureStatistics()
    for images in batches:
        statistics.update(network.features(images))
    return statistics


def real_statistics(
    dataset: ImageDataset, network: MobileNetV2, *, most: int = MAX_REAL, folder: Path | None = None
) -> FeatureStatistics:
    """Statistics of a data set's images, or of ``most`` of them evenly spread; taken once for what the set holds.

    folder: keeps them there as well (13 MB), for other processes; None keeps them in memory alone.

    Raises MetricError if ``folder`` holds a damaged file of them.
    """
    what = (dataset.fingerprint, dataset.resolution, dataset.channels, most, SHA256, RESOLUTION)
    key = hashlib.sha256(repr(what).encode()).hexdigest()
    file = None if folder is None else folder / f"fd-mobilenet-v2-{key[:16]}.safetensors"
    if key not in _known and file is not None and file.exists():
        _known[key] = FeatureStatistics.load(file)
    if key not in _known:
        _known[key] = statistics_of(_real_images(dataset, most), network)
    if file is not None and not file.exists():
        _known[key].save(file)
    return _known[key]


def _real_images(dataset: ImageDataset, most: int) -> Iterator[Tensor]:
    count = min(most, len(dataset))
    # Evenly spread: a folder's images come sorted by class.
    for rows in (torch.arange(count) * len(dataset) // count).split(_CHUNK):
        yield to_float(dataset.batch(rows)[0])
