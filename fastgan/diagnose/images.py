"""Figures of samples beside real images: diversity, coverage and image quality."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from fastgan.diagnose.figures import Figures
from fastgan.metrics import MetricError, prdc
from fastgan.metrics.checks import require_finite
from fastgan.metrics.frechet import FeatureStatistics
from fastgan.metrics.perceptual import PerceptualNetwork, load_perceptual_network

LEAST_IMAGES = 6
"""Fewest images of each kind for a comparison."""
LEAST_SIDE = 8
"""Least height and width of images whose quality is examined."""
# Largest height and width that the embedded network sees, and images that it sees at once.
_LARGEST, _CHUNK = 128, 64
# Numbers that are transformed at once.
_NUMBERS = 2**24
_TINY = 1e-12


def sample_figures(real: Tensor, fake: Tensor) -> Figures:
    """Compare samples with real images, pixel by pixel.

    - ``spread``: variance of the samples, divided by that of the real images.
    - ``apart``: median distance of a sample to the nearest other one, divided by that of real
      images.
    - ``covered``: share of the real images with a sample as near as their fifth neighbour
      (coverage, Naeem et al. 2020).

    Args:
        real, fake: ``[N, C, H, W]`` of the same shape in [-1, 1], N at least LEAST_IMAGES.

    Raises:
        MetricError: there are too few images.
        NonFiniteError: an image holds infinite or NaN values.
    """
    if len(real) < LEAST_IMAGES:
        raise MetricError(
            f"A comparison of samples with real images needs at least {LEAST_IMAGES} real images, "
            f"got {len(real)}: use more data."
        )
    require_finite("the comparison of samples with real images", real=real, fake=fake)
    real, fake = real.flatten(1).double(), fake.flatten(1).double()
    return {
        "spread": float(fake.var(dim=0).sum() / real.var(dim=0).sum().clamp_min(_TINY)),
        "apart": float(_nearest(fake) / _nearest(real).clamp_min(_TINY)),
        "covered": prdc(real, fake).coverage,
    }


def quality_figures(real: Tensor, fake: Tensor, others: Tensor) -> Figures:
    """Compare the quality of samples with that of real images; empty for small or other data.

    - ``features``: Fréchet distance of samples from real images in the embedded network's features,
      divided by that of other real images. It is about 1 for samples that are as good.
    - ``sharpness``: mean squared difference of neighbouring pixels, divided by that of real images.
      It is below 1 for blurred samples, and above 1 for noisy ones.
    - ``checkerboard``: energy of stripes and boards of one pixel, as a multiple of that of slightly
      coarser ones, divided by the same of real images. Upsampling layers leave such patterns.

    Args:
        real, fake: ``[N, C, H, W]`` of the same shape in [-1, 1].
        others: further real images ``[M, C, H, W]``.
    """
    if real.shape[1] not in (1, 3) or min(real.shape[2:]) < LEAST_SIDE:
        return {}
    found = {"sharpness": _sharpness(fake) / max(_sharpness(real), _TINY)}
    if real.shape[2] % 2 == 0 == real.shape[3] % 2:
        found["checkerboard"] = _checkerboard(fake) / max(_checkerboard(real), _TINY)
    count = min(len(fake), len(others))
    if count >= LEAST_IMAGES:
        network = load_perceptual_network()
        ours, theirs, usual = (
            _statistics(network, images) for images in (fake[:count], real[-count:], others[:count])
        )
        found["features"] = ours.distance(theirs) / max(usual.distance(theirs), _TINY)
    return found


def _nearest(images: Tensor) -> Tensor:
    distances = torch.cdist(images, images)
    distances.fill_diagonal_(float("inf"))
    return distances.min(dim=1).values.median()


def _sharpness(images: Tensor) -> float:
    rows, columns = images.diff(dim=2).square().mean(), images.diff(dim=3).square().mean()
    return float(rows + columns)


def _checkerboard(images: Tensor) -> float:
    """Return the energy at the highest frequency along rows and columns, over that one below."""
    highest = below = 0.0
    # Parts bound the memory of large images.
    for part in images.split(max(1, _NUMBERS // images[0].numel())):
        for side in (2, 3):
            energy = torch.fft.rfft(part.double(), dim=side).abs().square()
            highest += float(energy.select(side, -1).sum())
            below += float(energy.select(side, -2).sum())
    return highest / max(below, _TINY)


def _statistics(network: PerceptualNetwork, images: Tensor) -> FeatureStatistics:
    """Return statistics of the means over an image of the network's features."""
    found = FeatureStatistics()
    side = max(images.shape[2:])
    for part in images.split(_CHUNK):
        if side > _LARGEST:
            part = interpolate(part, scale_factor=_LARGEST / side, mode="area")
        with torch.no_grad():
            depths = network(part.float())
        found.update(torch.cat([features.mean((2, 3)) for features in depths], 1))
    return found
