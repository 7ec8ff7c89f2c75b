"""How near images come to their own targets, pixel by pixel: L1, and PSNR and SSIM by torchmetrics."""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

from fastgan.data import to_uint8
from fastgan.metrics.errors import MetricError
from fastgan.metrics.networks import check_images

MOST_DB = 100.0
"""PSNR of equal images, which is infinite: more than images of 8 bits that differ have, below a million pixels."""


def l1(images: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference, float32 ``[N]``, from 0 to 2, of images rounded to 8 bits as a saved file's are.

    Args:
        images, targets: ``[N, 1 or 3, H, W]`` in [-1, 1], any float dtype, on one device.

    Raises:
        TypeError: they aren't floating-point.
        ValueError: wrong shape, or their shapes differ; NonFiniteError for infinite or NaN values.
    """
    ours, theirs = _values("l1", images, targets)
    return 2 * (ours - theirs).abs().mean((1, 2, 3))


def psnr(images: Tensor, targets: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, float32 ``[N]``: ``-10 log10 mean (a - b)²`` of values from 0 to 1.

    Equal images have ``MOST_DB``. Arguments and errors as ``l1``, and MetricError where torchmetrics is missing.
    """
    require_torchmetrics()
    from torchmetrics.functional.image import peak_signal_noise_ratio

    ours, theirs = _values("psnr", images, targets)
    found = peak_signal_noise_ratio(ours, theirs, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return found.clamp(max=MOST_DB)


def ssim(images: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), float32 ``[N]``, 1 for equal images: of values from 0 to 1.

    Gaussian windows of 11 pixels, σ 1.5, in each colour; K1 0.01, K2 0.03. Arguments and errors as ``psnr``, and
    MetricError below 6 pixels of height or width.
    """
    require_torchmetrics()
    from torchmetrics.functional.image import structural_similarity_index_measure

    ours, theirs = _values("ssim", images, targets)
    if min(images.shape[-2:]) < 6:
        raise MetricError(
            f"ssim needs images of at least 6 pixels in height and width, got {list(images.shape)}: leave it out."
        )
    found = structural_similarity_index_measure(ours, theirs, data_range=1.0, reduction="none")
    assert isinstance(found, Tensor)
    return found


def require_torchmetrics() -> None:
    """Raises MetricError if torchmetrics isn't installed, so that a run says so before it starts."""
    if importlib.util.find_spec("torchmetrics") is None:
        raise MetricError(
            "PSNR and SSIM need torchmetrics, which isn't installed: pip install 'fastgan[metrics]', or leave psnr and ssim "
            "out."
        )


def _values(measure: str, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both from 0 to 1: SSIM compares means, which must not be around 0."""
    check_images(images, measure=measure)
    check_images(targets, measure=measure, name="targets")
    if images.shape != targets.shape:
        raise ValueError(
            f"images and their targets must have one shape, got {list(images.shape)} and {list(targets.shape)}"
        )
    ours, theirs = (to_uint8(part).to(torch.float32) / 255 for part in (images, targets))
    return ours, theirs
