"""Ring of eight Gaussians: a point depends on its index alone; modes are told by distance."""

from __future__ import annotations

import pytest
import torch

from fastgan.data import DataError, image_grid, open_dataset, to_float
from fastgan.data.ring import RING_MEANS, RING_NAMES, RING_STD, Ring, ring_modes
from fastgan.data.scatter import are_points, scatter
from fastgan.inference.samples import draw_grid


def test_points_are_eight_gaussians() -> None:
    dataset = Ring(length=16_000)
    images, labels = dataset.batch(torch.arange(16_000))
    assert images.shape == (16_000, 2, 1, 1) and images.dtype == torch.uint8
    points = to_float(images).flatten(1)
    for mode, mean in enumerate(RING_MEANS):
        cloud = points[labels == mode]
        assert 1800 < len(cloud) < 2200
        assert (cloud.mean(dim=0) - mean).abs().max() < 0.003
        assert torch.allclose(cloud.T.cov(), RING_STD**2 * torch.eye(2), atol=0.1 * RING_STD**2)
    assert torch.allclose(RING_MEANS.norm(dim=1), torch.full((8,), 0.754), atol=0.002)
    assert RING_NAMES[1] == "north-east" and (RING_MEANS[1] > 0).all()
    # A two-dimensional Gaussian has 98.9% within three standard deviations.
    modes = ring_modes(to_float(images))
    near = modes >= 0
    assert 0.985 < near.float().mean() < 0.993 and torch.equal(modes[near], labels[near])


def test_an_index_has_its_point_in_any_batch_and_length() -> None:
    dataset = open_dataset("ring", resolution=28, channels=3)
    rows = torch.tensor([63_999, 5, 5, 0])
    images, labels = dataset.batch(rows)
    assert torch.equal(images, torch.stack([dataset.image(i) for i in rows.tolist()]))
    assert labels.tolist() == [dataset.label(i) for i in rows.tolist()]
    assert torch.equal(Ring(length=6).batch(rows[1:])[0], images[1:])
    # Drawn by Philox, so the same on every machine.
    assert Ring(length=4).batch(torch.arange(4))[0].flatten(1).tolist() == [
        [60, 195], [27, 129], [202, 59], [131, 218],
    ]  # fmt: skip
    other = Ring(length=6, seed=1)
    assert other.fingerprint != Ring(length=6).fingerprint
    assert (other.image(5) != dataset.image(5)).any()


def test_a_point_near_no_mode_is_of_none() -> None:
    ten_sigma = RING_MEANS[2] + torch.tensor([0.0, 10 * RING_STD])
    inside = RING_MEANS[2] + torch.tensor([2.9 * RING_STD, 0.0])
    points = torch.stack([RING_MEANS[7], ten_sigma, inside, torch.zeros(2)])[:, :, None, None]
    assert ring_modes(points).tolist() == [7, -1, 2, -1]


def test_a_grid_of_points_is_a_scatter_plot() -> None:
    points = torch.tensor([[-0.5, 0.5], [2.0, float("nan")]])[:, :, None, None]
    picture = draw_grid(points, 8)
    assert picture.shape == (3, 256, 256)
    blue = (picture == torch.tensor([31, 119, 180], dtype=torch.uint8)[:, None, None]).all(dim=0)
    rows, columns = blue.nonzero().unbind(1)
    # The first dot is up on the left, the second on the right border.
    assert {(64, 64), (128, 255)} <= set(zip(rows.tolist(), columns.tolist()))
    assert len(rows) == 9 + 6
    behind = scatter(points[:1], behind=-points[:1], size=64)
    assert behind[:, 47, 47].tolist() == [200, 200, 200]
    assert not are_points(torch.zeros(3, 1, 2, 2))
    assert torch.equal(draw_grid(torch.zeros(2, 1, 64, 64), 2), image_grid(
        torch.full((2, 1, 64, 64), 128, dtype=torch.uint8), 2
    ))  # fmt: skip


def test_refused() -> None:
    with pytest.raises(DataError, match=r"^length must be at least 1, got 0"):
        Ring(length=0)
    with pytest.raises(DataError, match=r"^seed must be from 0 to 2\*\*64 - 1, got -1"):
        Ring(seed=-1)
    with pytest.raises(ValueError, match=r"points must be \[N, 2, 1, 1\], got \[2, 3, 1, 1\]"):
        scatter(torch.zeros(2, 3, 1, 1))
    with pytest.raises(ValueError, match="size must be at least 3, got 2"):
        scatter(torch.zeros(2, 2, 1, 1), size=2)
