"""L1, PSNR and SSIM of images and their targets equal their formulas."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from torch.nn import functional as F

from fastgan.data import to_float
from fastgan.metrics import MetricError, l1, psnr, ssim

# Importing torchmetrics takes seconds, so that one worker runs all these tests.
pytestmark = pytest.mark.xdist_group("torchmetrics")
with_torchmetrics = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None, reason="needs torchmetrics"
)


@pytest.fixture(params=[1, 3])
def pair(request):
    """Return random uint8 images, and copies with growing noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, request.param, 16, 12), generator=generator)
    noise = (
        torch.randint(-50, 51, images.shape, generator=generator)
        * torch.arange(5).view(-1, 1, 1, 1)
        // 2
    )
    return images.to(torch.uint8), (images + noise).clamp(0, 255).to(torch.uint8)


def ssim_by_hand(a, b):
    """Compute eq. 13 of Wang et al. 2004 for one image each, float64 in [0, 1]."""
    places = torch.arange(-5, 6, dtype=torch.float64)
    window = torch.exp(-(places**2) / (2 * 1.5**2))
    window = window[:, None] * window / window.sum() ** 2

    def mean(x):
        padded = F.pad(x[:, None], (5, 5, 5, 5), mode="reflect")
        return F.conv2d(padded, window[None, None])

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    index = (
        (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    )
    return index.mean().item()


@with_torchmetrics
def test_figures_are_those_of_the_formulas(pair):
    a, b = (part.double() / 255 for part in pair)
    images, targets = map(to_float, pair)
    assert l1(images, targets).tolist() == pytest.approx(
        (2 * (a - b).abs().mean((1, 2, 3))).tolist()
    )
    decibels = -10 * ((a - b) ** 2).mean((1, 2, 3)).log10()
    assert psnr(images[1:], targets[1:]).tolist() == pytest.approx(decibels[1:].tolist(), rel=1e-5)
    expected = [ssim_by_hand(one, other) for one, other in zip(a, b)]
    assert ssim(images, targets).tolist() == pytest.approx(expected, abs=1e-4)
    assert expected[0] == pytest.approx(1) and expected[-1] < 0.9


@with_torchmetrics
def test_equal_images_and_differences_below_8_bits(pair):
    images = to_float(pair[0])
    # Half a grey level is 0.0039.
    for near in (images, images + 0.003):
        assert l1(near, images).tolist() == [0] * 5
        assert psnr(near, images).tolist() == [100] * 5
        assert ssim(near.double(), images).tolist() == pytest.approx([1] * 5)


@pytest.mark.parametrize("distance", [l1, pytest.param(psnr, marks=with_torchmetrics)])
def test_mismatched_pairs_are_refused(distance):
    images = torch.zeros(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"one shape, got \[2, 3, 8, 8\] and \[2, 1, 8, 8\]"):
        distance(images, images[:, :1])
    with pytest.raises(ValueError, match=r"images must be \[N, 1 or 3, H, W\], got \[2, 2, 8, 8\]"):
        distance(images[:, :2], images[:, :2])
    with pytest.raises(TypeError, match="floating-point"):
        distance(images, images.to(torch.uint8))


def test_without_torchmetrics(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    for distance in (psnr, ssim):
        with pytest.raises(
            MetricError, match=r"need torchmetrics, .*: pip install 'fastgan\[metrics\]', or leave"
        ):
            distance(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8))


@with_torchmetrics
def test_images_smaller_than_the_window_are_refused():
    images = torch.zeros(2, 3, 5, 8)
    with pytest.raises(
        MetricError, match=r"at least 6 pixels in height and width, got \[2, 3, 5, 8\]"
    ):
        ssim(images, images)
