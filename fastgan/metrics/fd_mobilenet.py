"""FD-MobileNetV2: the Fréchet distance between two sets of images in MobileNetV2's features.

It isn't comparable with FID, which uses another network and resolution. Use it to rank checkpoints
and runs on the same data, with the same number of images.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from fastgan.metrics.features import MobileNetV2, mobilenet_v2
from fastgan.metrics.frechet import FeatureStatistics


def fd_mobilenet_v2(images_a: Tensor, images_b: Tensor, *, device: str = "cpu") -> float:
    """Compute the Fréchet distance, 0 for the same images. Few images bias it upwards.

    Args:
        images_a: ``[N, 1 to 4, H, W]`` in [-1, 1], N at least 2, of any float dtype and resolution.
        images_b: ``[M, 1 to 4, H, W]``, like ``images_a``.
        device: device of the network.

    Raises:
        MetricError: torchvision or the weights are missing.
        TypeError: images aren't floating-point.
        ValueError: images have another shape, or there are fewer than 2.
        NonFiniteError: a value is infinite or NaN.
    """
    network = mobilenet_v2(device)
    a, b = (statistics_of([images], network) for images in (images_a, images_b))
    return a.distance(b)


def statistics_of(batches: Iterable[Tensor], network: MobileNetV2) -> FeatureStatistics:
    """Compute mean and covariance of the features of all images.

    Args:
        batches: images ``[N, 1 to 4, H, W]`` in [-1, 1], in batches of any size.
        network: network of the features.
    """
    statistics = FeatureStatistics()
    for images in batches:
        statistics.update(network.features(images))
    return statistics
