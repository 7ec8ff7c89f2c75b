from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import nn, ops


def by_hand(layer: nn.ModulatedConv2d, x, w, noise, up, down) -> torch.Tensor:
    """Convolve image by image with a weight each (Karras et al. 2020, eq. 1 to 3)."""
    styles = w @ layer.affine.weight.T / w.shape[1] ** 0.5 + layer.affine.bias
    images = []
    for image, style in zip(x, styles):
        weight = layer.weight * style[:, None, None] / layer.weight[0].numel() ** 0.5
        if layer.demodulate:
            weight = weight * (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        f = ops.setup_filter([1, 3, 3, 1])
        images.append(
            ops.conv2d_resample(
                image[None], weight, f, up=up, down=down, padding=weight.shape[2] // 2
            )
        )
    y = torch.cat(images)
    if noise is not None:
        y = y + layer.noise.strength * noise
    return y if layer.bias is None else y + layer.bias[:, None, None]


@pytest.mark.parametrize("factors", [{}, {"up": 2}, {"down": 2}], ids=str)
@pytest.mark.parametrize("kernel_size,demodulate", [(3, True), (1, False), (3, False)])
def test_the_layer_is_a_convolution_with_a_weight_per_image(factors, kernel_size, demodulate):
    torch.manual_seed(0)
    layer = nn.ModulatedConv2d(
        5, 4, kernel_size, 7, demodulate=demodulate, clamp=2.0, **factors
    ).double()
    for parameter in (layer.bias, layer.noise.strength, layer.affine.bias):
        torch.nn.init.normal_(parameter)
    x, w = torch.randn(3, 5, 6, 8, dtype=torch.float64), torch.randn(3, 7, dtype=torch.float64)
    up, down = factors.get("up", 1), factors.get("down", 1)
    noise = torch.randn(6 * up // down, 8 * up // down, dtype=torch.float64)
    expected = (F.leaky_relu(by_hand(layer, x, w, noise, up, down), 0.2) * 2**0.5).clamp(-2, 2)
    assert torch.allclose(layer(x, w, noise), expected, rtol=1e-7, atol=1e-7)


def test_the_initial_layer_keeps_the_variance():
    torch.manual_seed(0)
    for options in ({}, {"demodulate": False, "noise": False}):
        layer = nn.ModulatedConv2d(64, 64, 3, 16, act="linear", **options)
        assert torch.equal(layer.affine.bias, torch.ones(64))
        y = layer(torch.randn(8, 64, 12, 12), torch.zeros(8, 16))
        assert y[..., 1:-1, 1:-1].std().item() == pytest.approx(1, rel=0.05)


def test_noise():
    torch.manual_seed(0)
    layer = nn.ModulatedConv2d(3, 4, 3, 5, up=2, resolution=8)
    torch.nn.init.ones_(layer.noise.strength)
    x, w = torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    assert torch.equal(layer(x, w, "const"), layer(x, w, "const"))
    assert torch.allclose(layer(x, w, "const"), layer(x, w, layer.noise.const))
    assert not torch.allclose(layer(x, w), layer(x, w))
    layer(x, w).sum().backward()
    assert layer.noise.strength.grad.abs() > 0
    without = nn.ModulatedConv2d(3, 4, 3, 5, noise=False)
    assert torch.equal(without(x, w), without(x, w))
    with pytest.raises(ValueError, match="noise=True"):
        without(x, w, "const")


def test_all_parameters_get_gradients():
    layer = nn.ModulatedConv2d(3, 4, 3, 5, act="swish")
    torch.nn.init.ones_(layer.noise.strength)
    layer(torch.randn(2, 3, 6, 6), torch.randn(2, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in layer.parameters())


def test_state_dict_and_repr():
    layer = nn.ModulatedConv2d(3, 4, 3, 5, up=2, resolution=8)
    keys = ["weight", "bias", "affine.weight", "affine.bias", "noise.strength", "noise.const"]
    assert list(layer.state_dict()) == keys
    image = nn.ModulatedConv2d(8, 3, 1, 5, act="linear", demodulate=False, clamp=256, noise=False)
    assert repr(image).splitlines()[1].strip() == (
        "8, 3, 1, 5, bias=True, act='linear', clamp=256, demodulate=False"
    )


@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16], ids=str)
def test_half_images_keep_float32_parameters(low):
    layer = nn.ModulatedConv2d(3, 4, 3, 5, up=2)
    torch.nn.init.ones_(layer.noise.strength)
    x, w = torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    noise = torch.randn(8, 8)
    y = layer(x.to(low), w, noise)
    assert y.dtype == low and torch.allclose(y.float(), layer(x, w, noise), atol=0.1)
    y.sum().backward()
    assert all(p.grad.dtype == p.dtype == torch.float32 for p in layer.parameters())
    assert layer.half().filter.dtype == torch.float32


def test_compiles():
    layer = nn.ModulatedConv2d(3, 4, 3, 5, up=2, resolution=8)
    x, w = torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(x, w, "const"), layer(x, w, "const"), atol=1e-6)


@pytest.mark.parametrize(
    "x,w,says",
    [
        ((2, 4, 8, 8), (8, 2), ("w [N, 8]", "[8, 2]")),
        ((2, 4, 8, 8), (2, 14, 8), ("w [N, 8]", "[2, 14, 8]")),
        ((4, 8, 8), (2, 8), ("[N, C, H, W]", "[4, 8, 8]")),
    ],
)
def test_wrong_shapes_are_named(x, w, says):
    layer = nn.ModulatedConv2d(4, 4, 3, 8)
    with pytest.raises(ValueError) as caught:
        layer(torch.zeros(x), torch.zeros(w))
    assert all(words in str(caught.value) for words in says)


def test_on_the_meta_device():
    layer = nn.ModulatedConv2d(4, 6, 3, 8, up=2).to("meta")
    y = layer(torch.zeros(2, 4, 8, 8, device="meta"), torch.zeros(2, 8, device="meta"))
    assert y.is_meta and y.shape == (2, 6, 16, 16)
