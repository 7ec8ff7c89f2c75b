"""Figures of images known by hand: blur, noise, boards of one pixel, other things."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d

from fastgan.data import open_dataset, to_float
from fastgan.diagnose import quality_figures, sample_figures
from fastgan.metrics import MetricError, NonFiniteError

DIGITS = to_float(open_dataset("digits", resolution=16).batch(torch.arange(192))[0])
REAL, SAME, OTHERS = DIGITS[:64], DIGITS[64:128], DIGITS[128:]
NOISE = torch.rand(REAL.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
BOARD = 1 - 2.0 * (torch.arange(16) % 2)


def quality(fake):
    return quality_figures(REAL, fake, OTHERS)


def test_real_images_are_as_good_as_others():
    found = quality(SAME)
    assert set(found) == {"sharpness", "checkerboard", "features"}
    assert all(0.6 < value < 1.6 for value in found.values()), found


def test_each_fault_has_its_figure():
    assert quality(avg_pool2d(SAME, 5, 1, 2))["sharpness"] < 0.5
    assert quality(NOISE)["sharpness"] > 2
    board = (SAME + 0.3 * BOARD * BOARD[:, None]).clamp(-1, 1)
    stripes = (SAME + 0.3 * BOARD[:, None]).clamp(-1, 1)
    assert quality(board)["checkerboard"] > 5 and quality(stripes)["checkerboard"] > 5
    assert quality(NOISE)["features"] > 10 and quality(-SAME)["features"] > 2


@pytest.mark.parametrize("shape", [(12, 2, 1, 1), (12, 1, 4, 4), (12, 4, 8, 8)])
def test_points_and_tiny_images_have_no_quality(shape):
    data = torch.linspace(-1, 1, 12).reshape(12, 1, 1, 1).expand(shape)
    assert quality_figures(data, data, data) == {}
    assert sample_figures(data, data)["covered"] == 1


def test_few_real_images_leave_features_out():
    assert "features" not in quality_figures(REAL, SAME, OTHERS[:5])
    odd = torch.rand(8, 1, 9, 9)
    assert set(quality_figures(odd, odd, odd)) == {"sharpness", "features"}


def test_too_few_images_are_an_error_that_a_diagnosis_reports():
    with pytest.raises(MetricError, match="needs at least 6 real images, got 5: use more data"):
        sample_figures(REAL[:5], SAME[:5])


def test_images_that_are_not_finite():
    with pytest.raises(NonFiniteError, match="comparison of samples with real images"):
        sample_figures(REAL, torch.full_like(REAL, float("nan")))
