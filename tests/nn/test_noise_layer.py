from __future__ import annotations

import pytest
import torch

from fastgan import nn


def layer_of(strength: float, resolution=None) -> nn.NoiseInjection:
    layer = nn.NoiseInjection(resolution)
    torch.nn.init.constant_(layer.strength, strength)
    return layer


def test_strength_starts_at_zero_and_learns():
    layer, x = nn.NoiseInjection(), torch.randn(2, 3, 4, 5)
    assert torch.equal(layer(x), x)
    noise = torch.randn(4, 5)
    layer(x, noise).sum().backward()
    assert torch.allclose(layer.strength.grad, noise.sum() * 6, atol=1e-4)


def test_fresh_noise_is_normal_and_the_same_for_all_channels():
    torch.manual_seed(0)
    x = torch.zeros(4, 3, 50, 60)
    y = layer_of(2.0)(x)
    assert torch.equal(y[:, 0], y[:, 2]) and not torch.equal(y[0], y[1])
    assert y[:, 0].std().item() == pytest.approx(2, rel=0.05)
    assert not torch.equal(layer_of(2.0)(x), y)


@pytest.mark.parametrize("resolution", [4, (4, 6)], ids=str)
def test_constant_noise_is_saved(resolution):
    layer, other = layer_of(0.5, resolution), layer_of(0.0, resolution)
    x = torch.zeros(2, 3, 4, 4 if resolution == 4 else 6)
    assert torch.equal(layer(x, "const"), x + 0.5 * layer.const)
    assert set(layer.state_dict()) == {"strength", "const"}
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x, "const"), layer(x, "const"))
    assert list(nn.NoiseInjection().state_dict()) == ["strength"]


@pytest.mark.parametrize("shape", [(4, 5), (1, 1, 4, 5), (2, 1, 4, 5)], ids=str)
def test_given_noise(shape):
    layer, x, noise = layer_of(3.0), torch.randn(2, 3, 4, 5), torch.randn(shape)
    assert torch.allclose(layer(x, noise), x + 3 * noise)
    for_an_op = layer.noise(x.shape, noise)
    assert for_an_op.shape == (shape[0] if len(shape) == 4 else 1, 1, 4, 5)
    assert torch.allclose(x + for_an_op, layer(x, noise))


def test_keeps_the_dtype():
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    assert layer_of(1.0, 4)(x).dtype == layer_of(1.0, 4)(x, "const").dtype == torch.bfloat16
    assert layer_of(1.0, 4).double()(x.double(), "const").dtype == torch.float64


def test_compiles():
    layer, x = layer_of(1.0, 4), torch.randn(2, 3, 4, 4)
    assert torch.equal(
        torch.compile(layer, fullgraph=True, backend="aot_eager")(x, "const"), layer(x, "const")
    )


@pytest.mark.parametrize(
    "noise,error,says",
    [
        ("const", ValueError, "resolution="),
        ("random", TypeError, "must be None, 'const' or a tensor, got 'random'"),
        (1.0, TypeError, "got 1.0"),
        (torch.zeros(5, 4), ValueError, r"got \[5, 4\]"),
        (torch.zeros(2, 3, 4, 5), ValueError, r"must have shape \[4, 5\], .* or \[2, 1, 4, 5\]"),
    ],
)
def test_wrong_noise_is_refused(noise, error, says):
    with pytest.raises(error, match=says):
        nn.NoiseInjection()(torch.zeros(2, 3, 4, 5), noise)
    with pytest.raises(ValueError, match=r"must have shape \[4, 5\]"):
        nn.NoiseInjection(8)(torch.zeros(2, 3, 4, 5), "const")
