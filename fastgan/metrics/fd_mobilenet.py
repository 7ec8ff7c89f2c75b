"""FD-MobileNetV2: the Fréchet distance of two sets of images in MobileNetV2's features.

No FID: with another network, resolution and number of images its figures are others. It ranks states and runs on the same
data, measured with the same number of images.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from fastgan.metrics.features import MobileNetV2, mobilenet_v2
from fastgan.metrics.frechet import FeatureStatistics, frechet_distance


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
