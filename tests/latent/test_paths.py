"""Interpolation and walks."""

import math

import pytest
import torch

from fastgan.latent import interpolate, walk


def test_w_goes_straight():
    a, b = torch.randn(2, 8), torch.randn(2, 8)
    torch.testing.assert_close(interpolate(a, b, 0.25), 0.75 * a + 0.25 * b)
    several = interpolate(a, b, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(several, torch.stack([a, 0.75 * a + 0.25 * b, b]))


def test_z_follows_the_great_circle_at_even_speed():
    a, b = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    angles = torch.linspace(0, math.pi / 2, 7)
    expected = 2 * torch.stack([angles.cos(), angles.sin(), torch.zeros(7)], 1)
    torch.testing.assert_close(interpolate(a, b, torch.linspace(0, 1, 7), space="z"), expected)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, 0.0])
def test_z_without_a_great_circle_stays_finite(factor):
    a = torch.randn(1, 8)
    middle = interpolate(a, factor * a, 0.5, space="z")
    torch.testing.assert_close(middle, (1 + factor) / 2 * a, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("space", ["w", "z"])
@pytest.mark.parametrize("loop", [True, False])
def test_a_walk_meets_its_keyframes(space, loop):
    keys = torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(0))
    path = walk(keys, 5, loop=loop, space=space)
    assert len(path) == (20 if loop else 16)
    torch.testing.assert_close(path[::5], keys)


def test_a_walk_is_smooth_and_closed():
    keys = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    path = walk(keys, 100)
    # Across the seam too.
    closed = torch.cat([path, path[:2]])
    speed = closed.diff(dim=0)
    # Straight lines would turn by the whole angle at a keyframe.
    assert speed.diff(dim=0).norm(dim=1).max() < 0.1 * speed.norm(dim=1).max()


def test_a_walk_in_z_keeps_between_the_lengths_of_its_keyframes():
    keys = torch.randn(4, 32, generator=torch.Generator().manual_seed(2))
    lengths, keys_lengths = walk(keys, 9, space="z").norm(dim=-1), keys.norm(dim=-1)
    assert keys_lengths.min() - 1e-4 <= lengths.min() and lengths.max() <= keys_lengths.max() + 1e-4


def test_errors():
    a = torch.zeros(2, 8)
    with pytest.raises(
        ValueError, match=r"a and b must have one shape \[\.\.\., dim\], got \[2, 8\] and \[8\]"
    ):
        interpolate(a, a[0], 0.5)
    with pytest.raises(ValueError, match=r"t must be a number or have shape \[T\], got \[1, 1\]"):
        interpolate(a, a, torch.zeros(1, 1))
    with pytest.raises(ValueError, match="space must be 'z' or 'w', got 'x'"):
        interpolate(a, a, 0.5, space="x")
    with pytest.raises(ValueError, match=r"with K at least 2, got \[1, 8\]"):
        walk(a[:1], 5)
    with pytest.raises(ValueError, match="frames_per_key must be at least 1, got 0"):
        walk(a, 0)
