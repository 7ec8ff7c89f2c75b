"""Corruptions of ADA: noise on the colours, and a cut-out square."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.augment.base import join_alpha, split_alpha


def add_noise(images: Tensor, noise: Tensor, std: Tensor) -> Tensor:
    """Return images + std·noise.

    Args:
        images, noise: ``[N, C, H, W]``. Alpha, the last of two or four channels, is unchanged.
        std: ``[N]``.
    """
    colours, alpha = split_alpha(images)
    noise, _ = split_alpha(noise)
    return join_alpha(colours + std[:, None, None, None] * noise, alpha)


def cutout(images: Tensor, centre_x: Tensor, centre_y: Tensor, side: Tensor) -> Tensor:
    """Set a rectangle of each image ``[N, C, H, W]`` to zero, cropped at the borders.

    Args:
        images: ``[N, C, H, W]``.
        centre_x, centre_y: ``[N]`` in [0, 1], as shares of the image's sides.
        side: ``[N]``, as a share of the image's sides; 0 for no rectangle.
    """
    outside = []
    for centre, n in ((centre_x, images.shape[3]), (centre_y, images.shape[2])):
        start, end = (((centre + sign * side / 2) * n + 0.5).floor()[:, None] for sign in (-1, 1))
        place = torch.arange(n, dtype=side.dtype, device=side.device)
        outside.append((place < start) | (place >= end))
    kept = outside[1][:, None, :, None] | outside[0][:, None, None, :]
    return images * kept.to(images.dtype)
