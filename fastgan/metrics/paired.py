"""Pixelwise distances of images from their targets: L1, and PSNR and SSIM by torchmetrics."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

from fastgan.data import to_uint8
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images

MOST_DB = 100.0
"""PSNR of equal images, in place of infinity.

8-bit images of up to 150,000 values that differ have less.
"""


def l1(images: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean absolute difference of images, rounded to 8 bits like a saved file.

    Args:
        images: ``[N, 1 or 3, H, W]`` in [-1, 1], of any float dtype.
        targets: like ``images``, on the same device.

    Returns:
        float32 ``[N]``, from 0 to 2.

    Raises:
        TypeError: an argument isn't floating-point.
        ValueError: a shape is wrong, or the shapes differ.
        NonFiniteError: a value is infinite or NaN.
    """
    a, b = _to_unit(images, targets, measure="l1")
    return 2 * (a - b).abs().mean((1, 2, 3))


def psnr(images: Tensor, targets: Tensor) -> Tensor:
    """Compute the peak signal-to-noise ratio in dB: ``-10 log10 mean (a - b)²``, values in [0, 1].

    Args:
        images: ``[N, 1 or 3, H, W]`` in [-1, 1], of any float dtype.
        targets: like ``images``, on the same device.

    Returns:
        float32 ``[N]``, at most ``MOST_DB``, which equal images have.

    Raises:
        MetricError: torchmetrics is missing.
        TypeError: an argument isn't floating-point.
        ValueError: a shape is wrong, or the shapes differ.
        NonFiniteError: a value is infinite or NaN.
    """
    require_torchmetrics()
    from torchmetrics.functional.image import peak_signal_noise_ratio

    a, b = _to_unit(images, targets, measure="psnr")
    ratios = peak_signal_noise_ratio(a, b, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return ratios.clamp(max=MOST_DB)


def ssim(images: Tensor, targets: Tensor) -> Tensor:
    """Compute the structural similarity (Wang et al. 2004) of values in [0, 1].

    It uses Gaussian windows of 11 pixels with σ 1.5 in each colour, K1 0.01 and K2 0.03.

    Args:
        images: ``[N, 1 or 3, H, W]`` in [-1, 1], of any float dtype, H and W at least 6.
        targets: like ``images``, on the same device.

    Returns:
        float32 ``[N]``, 1 for equal images.

    Raises:
        MetricError: torchmetrics is missing, or images are smaller than 6 pixels.
        TypeError: an argument isn't floating-point.
        ValueError: a shape is wrong, or the shapes differ.
        NonFiniteError: a value is infinite or NaN.
    """
    require_torchmetrics()
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = _to_unit(images, targets, measure="ssim")
    if min(images.shape[-2:]) < 6:
        raise MetricError(
            f"ssim needs images of at least 6 pixels in height and width, "
            f"got {list(images.shape)}: leave it out."
        )
    similarities = structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    assert isinstance(similarities, Tensor)
    return similarities


def require_torchmetrics() -> None:
    """Check that torchmetrics is installed, before a run starts.

    Raises:
        MetricError: it isn't installed.
    """
    if importlib.util.find_spec("torchmetrics") is None:
        raise MetricError(
            "PSNR and SSIM need torchmetrics, which isn't installed: "
            "pip install 'fastgan[metrics]', or leave psnr and ssim out."
        )


def _to_unit(images: Tensor, targets: Tensor, *, measure: str) -> tuple[Tensor, Tensor]:
    """Check both and scale them to [0, 1], since SSIM compares means, which must not be near 0."""
    check_images(images, measure=measure)
    check_images(targets, measure=measure, name="targets")
    if images.shape != targets.shape:
        raise ValueError(
            f"images and targets must have one shape, "
            f"got {list(images.shape)} and {list(targets.shape)}"
        )
    a, b = (to_uint8(part).to(torch.float32) / 255 for part in (images, targets))
    return a, b
