"""ADA's image-space filtering: four octaves of frequencies, amplified separately."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from fastgan.augment.settings import Strengths
from fastgan.augment.wavelets import halfband

EXPECTED_POWER = (10 / 13, 1 / 13, 1 / 13, 1 / 13)
"""Share of a natural image's power in each band, lowest first: spectra fall as 1/f."""


def band_filters() -> np.ndarray:
    """Zero-phase filters of the bands [0, π/8], [π/8, π/4], [π/4, π/2] and [π/2, π]: float64 ``[4, 43]``, which sum to δ.

    From sym2's half-band product filter p, which depends on its moments alone: p(z)·p(z²)·p(z⁴), p(z)·p(z²)·p(-z⁴),
    p(z)·p(-z²) and p(-z).
    """
    low = halfband(2)
    delta = np.zeros_like(low)
    delta[len(low) // 2] = 1
    high = delta - low  # p(-z)
    passed = np.ones(1)
    bands = []
    for octave in range(3):
        bands.append(np.convolve(passed, _stretched(high, 2**octave)))
        passed = np.convolve(passed, _stretched(low, 2**octave))
    bands.append(passed)
    widest = len(passed)
    return np.stack([np.pad(band, (widest - len(band)) // 2) for band in reversed(bands)])


def _stretched(taps: np.ndarray, factor: int) -> np.ndarray:
    """Taps of p(z^factor)."""
    result = np.zeros((len(taps) - 1) * factor + 1)
    result[::factor] = taps
    return result


def band_matrices(size: int) -> Tensor:
    """The bands along an axis of ``size`` pixels that is mirrored at its ends: float32 ``[4, size, size]``, symmetric.

    A matrix takes fewer steps than a padded convolution with taps of each image's own, and its derivatives are matrices.
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
    """Amplification of each band ``[N, 4]``: each that is on is drawn, and all are divided so that the power stays."""
    gains = torch.ones_like(z["filter0"])[:, None].repeat(1, 4)
    for band, share in enumerate(EXPECTED_POWER):
        name = f"filter{band}"
        drawn = torch.ones_like(gains)
        drawn[:, band] = torch.exp2(z[name] * strengths.filter)
        power = 1 - share + share * drawn[:, band].square()
        gains = gains * torch.where(on[name][:, None], drawn / power.sqrt()[:, None], 1.0)
    return gains


def apply_filter(images: Tensor, gains: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
    """``[N, C, H, W]`` with the bands of each image amplified along both axes.

    gains: ``[N, 4]``. along_x, along_y: ``band_matrices`` of W and of H.
    """
    for bands in (along_x, along_y):
        # The bands sum to I, so this is what is added to an image: nothing for gains of 1, to the bit.
        change = ((gains - 1) @ bands.flatten(1)).unflatten(1, bands.shape[1:])
        rows = images.flatten(1, 2)
        images = torch.baddbmm(rows, rows, change).unflatten(1, images.shape[1:3]).transpose(2, 3)
    return images.contiguous()
