"""PixelNorm and MinibatchStddev as layers, and noise with a strength per channel."""

from __future__ import annotations

import pytest
import torch

from fastgan import nn, ops


def test_the_layers_are_the_ops():
    x = torch.randn(6, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nn.PixelNorm(dim=-1)(x), ops.pixel_norm(x, dim=-1))
    assert torch.equal(nn.MinibatchStddev(3)(x), ops.minibatch_stddev(x, group_size=3))
    with pytest.raises(ValueError, match="group_size must be a whole number of at least 1, got 0"):
        nn.MinibatchStddev(0)


def test_pixels_get_unit_length():
    x = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True) / 5**0.5
    torch.testing.assert_close(nn.PixelNorm()(x), x / length)
    assert not nn.PixelNorm()(torch.zeros(2, 3)).any()
    assert repr(nn.PixelNorm()) == "PixelNorm(dim=1, eps=1e-08)"


def test_noise_with_a_strength_for_each_channel():
    layer = nn.NoiseInjection(2, channels=3)
    layer.strength.data.copy_(torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1))
    noise = torch.randn(2, 1, 2, 2)
    assert torch.equal(
        layer(torch.zeros(2, 3, 2, 2), noise), torch.cat([0 * noise, noise, 2 * noise], 1)
    )
