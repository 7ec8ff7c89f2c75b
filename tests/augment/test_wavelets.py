"""Filters of ADA's resampling and of its frequency bands."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastgan.augment.filtering import band_filters, band_matrices
from fastgan.augment.wavelets import halfband, symlet


@pytest.mark.parametrize("moments", [1, 2, 3, 6, 8])
def test_symlets_are_orthogonal_and_smooth(moments):
    h = symlet(moments)
    assert len(h) == 2 * moments and h.sum() == pytest.approx(math.sqrt(2))
    for shift in range(0, 2 * moments, 2):
        inner = float(h[shift:] @ h[: len(h) - shift])
        assert inner == pytest.approx(float(shift == 0), abs=1e-9)
    # The high-pass filter, up to its direction.
    wavelet = h * (-1.0) ** np.arange(len(h))
    for power in range(moments):
        assert float(wavelet @ (np.arange(len(h)) - len(h) / 2) ** power) == pytest.approx(
            0, abs=1e-6
        )


def test_sym2_and_sym6_are_the_published_ones():
    """Daubechies 1992, tables 6.1 and 6.3, up to the direction."""
    sqrt3 = math.sqrt(3)
    sym2 = np.array([1 + sqrt3, 3 + sqrt3, 3 - sqrt3, 1 - sqrt3]) / (4 * math.sqrt(2))
    sym6 = [
        *(
            0.015404109327,
            0.003490712084,
            -0.117990111148,
            -0.048311742586,
            0.491055941927,
            0.787641141030,
        ),
        *(
            0.337929421728,
            -0.072637522786,
            -0.021060292513,
            0.044724901771,
            0.001767711865,
            -0.007800708325,
        ),
    ]
    for found, known in ((symlet(2), sym2), (symlet(6), np.array(sym6))):
        assert min(abs(found - known).max(), abs(found[::-1] - known).max()) < 1e-9


@pytest.mark.parametrize("moments", [1, 2, 6])
def test_the_product_filter_is_that_of_the_symlet(moments):
    h, p = symlet(moments), halfband(moments)
    np.testing.assert_allclose(np.convolve(h, h[::-1]) / 2, p, atol=1e-9)
    middle = len(p) // 2
    assert p[middle] == pytest.approx(0.5)
    np.testing.assert_allclose(p[middle % 2 :: 2][p[middle % 2 :: 2] != p[middle]], 0, atol=1e-12)


def test_the_bands_share_out_the_frequencies():
    bands = band_filters()
    delta = np.zeros(43)
    delta[21] = 1
    np.testing.assert_allclose(bands.sum(0), delta, atol=1e-12)
    np.testing.assert_allclose(bands, bands[:, ::-1], atol=1e-12)
    centres = np.array([0, 3 / 16, 3 / 8, 1]) * math.pi
    # [band, frequency].
    response = bands @ np.cos(np.outer(np.arange(-21, 22), centres))
    assert (response.argmax(0) == np.arange(4)).all() and (response.max(0) > 0.7).all()
    assert response[0, 0] == pytest.approx(1) and response[3, 3] == pytest.approx(1)


@pytest.mark.parametrize("size", [4, 7, 64])
def test_band_matrices_filter_a_mirrored_axis(size):
    matrices, bands = band_matrices(size).double().numpy(), band_filters()
    x = np.random.default_rng(0).standard_normal(size)
    mirrored = np.concatenate([x, x[::-1]])
    extended = np.tile(mirrored, 2 * (21 // (2 * size) + 1) + 1)
    start = (len(extended) // len(mirrored) // 2) * len(mirrored)
    for matrix, band in zip(matrices, bands):
        expected = np.convolve(extended, band, mode="same")[start : start + size]
        np.testing.assert_allclose(matrix @ x, expected, atol=1e-6)
