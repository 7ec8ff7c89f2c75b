"""ADA's corruptions: noise on the colours, and a square cut out."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.augment.base import join_alpha, split_alpha


def add_noise(images: Tensor, noise: Tensor, std: Tensor) -> Tensor:
    """images + std·noise: ``[N, C, H, W]`` twice and ``[N]``; alpha (the last of 2 or 4 channels) is left as it is."""
    colours, alpha = split_alpha(images)
    noise, _ = split_alpha(noise)
    return join_alpha(colours + std[:, None, None, None] * noise, alpha)


def cutout(images: Tensor, centre_x: Tensor, centre_y: Tensor, side: Tensor) -> Tensor:
    """Zeroes a rectangle of each image ``[N, C, H, W]``; what reaches beyond the borders is cut off.

    centre_x, centre_y: ``[N]`` in [0, 1], shares of the image's sides; side: ``[N]`` too, 0 for no rectangle.
    """
    outside = []
    for centre, n in ((centre_x, images.shape[3]), (centre_y, images.shape[2])):
        start, end = (((centre + sign * side / 2) * n + 0.5).floor()[:, None] for sign in (-1, 1))
        place = torch.arange(n, dtype=side.dtype, device=side.device)
        outside.append((place < start) | (place >= end))
    kept = outside[1][:, None, :, None] | outside[0][:, None, None, :]
    return images * kept.to(images.dtype)
