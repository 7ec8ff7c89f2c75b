"""Image-space filtering of ADA: four octaves of frequencies with separate gains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fastgan.augment.settings import Strengths
from fastgan.augment.wavelets import halfband

EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of a natural image's power in each band, lowest first; spectra fall as 1/f."""


def band_filters() -> np.ndarray:
    """Return zero-phase filters of four bands, float64 ``[4, 43]``, whose sum is δ.

    The bands are [0, π/8], [π/8, π/4], [π/4, π/2] and [π/2, π]. They are products of sym2's
    half-band filter p, which depends on its vanishing moments alone: p(z)·p(z²)·p(z⁴),
    p(z)·p(z²)·p(-z⁴), p(z)·p(-z²) and p(-z).
    """
    low = halfband(2)
    delta = np.zeros_like(low)
    delta[len(low) // 2] = 1
    # p(-z).
    high = delta - low
    passed = np.ones(1)
    bands = []
    for octave in range(3):
        bands.append(np.convolve(passed, _stretch(high, 2**octave)))
        passed = np.convolve(passed, _stretch(low, 2**octave))
    bands.append(passed)
    widest = len(passed)
    return np.stack([np.pad(band, (widest - len(band)) // 2) for band in reversed(bands)])


def _stretch(taps: np.ndarray, factor: int) -> np.ndarray:
    """Return the taps of p(z^factor)."""
    result = np.zeros((len(taps) - 1) * factor + 1)
    result[::factor] = taps
    return result


def band_matrices(size: int) -> Tensor:
    """Return the band filters along an axis as symmetric matrices, float32 ``[4, size, size]``.

    The axis is mirrored at its ends. A matrix takes fewer steps than a padded convolution with taps
    per image, and its derivatives are matrices too.
    """
    bands = band_filters()
    reach = bands.shape[1] // 2
    matrices = np.zeros((4, size, size))
    for offset in range(-reach, reach + 1):
        place = (np.arange(size) + offset) % (2 * size)
        place = np.minimum(place, 2 * size - 1 - place)
        for band in range(4):
            np.add.at(matrices[band], (np.arange(size), place), bands[band, reach + offset])
    return torch.from_numpy(matrices).float()


def band_gains(on: Mapping[str, Tensor], z: Mapping[str, Tensor], strengths: Strengths) -> Tensor:
    """Return the gain of each band ``[N, 4]``.

    Each band that is on has a random gain; all gains are then divided so that the power is kept.
    """
    gains = torch.ones_like(z["filter0"])[:, None].repeat(1, 4)
    for band, share in enumerate(EXPECTED_POWER):
        name = f"filter{band}"
        drawn = torch.ones_like(gains)
        drawn[:, band] = torch.exp2(z[name] * strengths.filter)
        power = 1 - share + share * drawn[:, band].square()
        gains = gains * torch.where(on[name][:, None], drawn / power.sqrt()[:, None], 1.0)
    return gains


def apply_filter(images: Tensor, gains: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
    """Apply gains to the bands of images along both axes.

    Args:
        images: ``[N, C, H, W]``.
        gains: ``[N, 4]``.
        along_x, along_y: :func:`band_matrices` of W and of H.
    """
    for bands in (along_x, along_y):
        # The bands sum to I, so gains of 1 add exactly nothing.
        change = ((gains - 1) @ bands.flatten(1)).unflatten(1, bands.shape[1:])
        rows = images.flatten(1, 2)
        images = torch.baddbmm(rows, rows, change).unflatten(1, images.shape[1:3]).transpose(2, 3)
    return images.contiguous()
