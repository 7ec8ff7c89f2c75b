"""Motions of images, and the equivariance of a generator, against recorded values."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fastgan.metrics import equivariance
from fastgan.metrics.equivariance import (
    band_limit_filter,
    band_limited,
    decibels,
    rotated,
    rotation_error,
    transform_matrix,
    translated,
    translated_by_pixels,
    translation_error,
)
from fastgan.networks.stylegan3 import StyleGAN3Generator


def waves(size: int) -> Tensor:
    c, i = torch.arange(2.0), torch.arange(float(size))
    return torch.sin(0.1 * (2 * c[:, None, None] + 3 * i[:, None] + 5 * i))[None]


MOTIONS = [
    (lambda: translated_by_pixels(waves(24), 3, -2), 924, 3.964810, 462.77518, 0.501021),
    (lambda: translated(waves(24), 2.64, -1.68), 722, -2.173126, 361.685786, 0.427248),
    (lambda: rotated(waves(40), 0.6), 1570, -0.570024, 778.609455, -0.356752),
    (lambda: band_limited(waves(40), 0.6), 1800, -0.392889, 897.737959, -0.472315),
]
"""Motion; number of values in the mask; their sum and sum of squares; a value in the middle."""


@pytest.mark.parametrize(("move", "count", "total", "squares", "middle"), MOTIONS)
def test_motions(move, count, total, squares, middle):
    y, mask = move()
    assert mask.sum().item() * 2 == count
    assert (mask * y).sum().item() == pytest.approx(total, abs=2e-4)
    assert (mask * y).square().sum().item() == pytest.approx(squares, rel=1e-6)
    size = y.shape[2] // 2
    assert y[0, 1, size, size].item() == pytest.approx(middle, abs=2e-6)


@pytest.mark.parametrize(
    ("angle", "up", "size", "squares", "centre", "beside", "diagonal"),
    [
        (0.6, 4, 47, 0.04280630251963668, 0.05230247, 0.04770448, 0.04341207),
        (-0.6, 1, 11, 1.1284519323435407, 0.99911386, 0.09674843, -0.14576946),
    ],
)
def test_the_band_limit_filter(angle, up, size, squares, centre, beside, diagonal):
    f = band_limit_filter(angle, up)
    assert f.shape == (size, size) and f.sum().item() == pytest.approx(1, abs=1e-6)
    assert f.square().sum().item() == pytest.approx(squares, rel=1e-5)
    m = size // 2
    found = [f[m, m].item(), f[m, m + 1].item(), f[m + 1, m + 1].item()]
    assert found == pytest.approx([centre, beside, diagonal], abs=1e-6)


def plane(ws: Tensor, transform: Tensor | None) -> Tensor:
    """Return 24×24 images of a plane wave in the transformed frame, as a perfect generator."""
    steps = (torch.arange(24, dtype=torch.float64) + 0.5) / 24 - 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    m = torch.eye(3) if transform is None else transform
    m = m.double()
    own_x, own_y = (m[i, 0] * x + m[i, 1] * y + m[i, 2] for i in (0, 1))
    return torch.cos(6 * own_x + 3 * own_y).expand(len(ws), 1, 24, 24).float()


def stuck(ws: Tensor, transform: Tensor | None) -> Tensor:
    """Return images with details at fixed pixels."""
    noise = torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    return plane(ws, transform) + 0.3 * noise


@pytest.mark.parametrize(("metric", "good"), [("eqt", 90), ("eqt_frac", 45), ("eqr", 50)])
def test_a_generator_that_follows_and_one_that_sticks(metric, good):
    def score(images_of) -> float:
        generator = torch.Generator().manual_seed(0)
        batches = [torch.zeros(2, 1) for _ in range(3)]
        return equivariance(images_of, batches, metric, 24, generator)

    assert score(plane) > good
    assert score(stuck) < 20
    assert score(lambda ws, transform: torch.zeros(len(ws), 1, 24, 24)) == math.inf


def test_a_transform_is_the_inverse_of_the_motion():
    m = transform_matrix((0.25, -0.5), math.pi / 2)
    point = torch.tensor([0.25, -0.5, 1.0])
    assert torch.allclose(m @ point, torch.tensor([0.0, 0.0, 1.0]), atol=1e-6)
    # Counterclockwise: what lies to the right moves up.
    assert torch.allclose(
        transform_matrix(angle=math.pi / 2) @ torch.tensor([0.0, -1.0, 1.0]),
        torch.tensor([1.0, 0.0, 1.0]),
        atol=1e-6,
    )
    assert decibels(0.0, 1.0) == math.inf and decibels(4e-5, 1.0) == pytest.approx(50)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 1, "radial": True}], ids=["t", "r"])
def test_networks_of_stylegan3(options):
    """At 32×32: EQ-T over 40 dB for both configurations, and EQ-R over 30 dB for R."""
    torch.manual_seed(0)
    g = StyleGAN3Generator(
        32, 3, z_dim=8, w_dim=8, channel_base=256, channel_max=16, num_layers=8, **options
    ).eval()
    ws = g.mapping(torch.randn(4, 8))
    with torch.no_grad():
        # Images fill the range, so that a ratio to its peak means something.
        g.synthesis.output_scale /= 3 * g.synthesis(ws).std().item()

        def images_of(ws: Tensor, transform: Tensor | None) -> Tensor:
            return g.synthesis(ws, transform=transform)

        assert decibels(*translation_error(images_of, ws, (3, -2), 32)) > 40
        assert decibels(*translation_error(images_of, ws, (2.3, -1.6), 32)) > 40
        if options:
            assert decibels(*rotation_error(images_of, ws, 0.6)) > 30
