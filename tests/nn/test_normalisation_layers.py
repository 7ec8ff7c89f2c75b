"""PixelNorm, MinibatchStddev, and noise of a strength per channel, as layers."""

from __future__ import annotations

import pytest
import torch

from fastgan import nn


@pytest.mark.parametrize(("shape", "dim"), [((2, 5, 3, 4), 1), ((3, 7), -1)])
def test_pixel_norm(shape, dim):
    x = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    y = nn.PixelNorm(dim=dim)(x)
    length = torch.linalg.vector_norm(x, dim=dim, keepdim=True) / shape[dim] ** 0.5
    torch.testing.assert_close(y, x / length)
    assert torch.autograd.gradcheck(nn.pixel_norm, x[:, :3].detach().requires_grad_())
    assert torch.autograd.gradgradcheck(nn.pixel_norm, x[:, :3].detach().requires_grad_(), fast_mode=True)


def test_pixel_norm_of_half_types_and_zeros():
    x = torch.full((1, 4), 1000.0, dtype=torch.float16)  # whose square is infinite
    assert torch.equal(nn.PixelNorm()(x), torch.ones_like(x))
    assert not nn.PixelNorm()(torch.zeros(2, 3)).any()
    assert repr(nn.PixelNorm()) == "PixelNorm(dim=1, eps=1e-08)"


def test_minibatch_stddev_is_the_function():
    x = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nn.MinibatchStddev(3)(x), nn.minibatch_stddev(x, 3))
    with pytest.raises(ValueError, match="up to 4 samples or a multiple of 4, got 6; use another batch size"):
        nn.MinibatchStddev(4)(x)
    with pytest.raises(ValueError, match="group_size must be a whole number of at least 1, got 0"):
        nn.MinibatchStddev(0)


def test_noise_with_a_strength_for_each_channel():
    layer = nn.NoiseInjection(2, channels=3)
    layer.strength.data.copy_(torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1))
    noise = torch.randn(2, 1, 2, 2)
    assert torch.equal(layer(torch.zeros(2, 3, 2, 2), noise), torch.cat([0 * noise, noise, 2 * noise], 1))
