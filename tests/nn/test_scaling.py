"""Parameters of many layers, scaled in one launch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fastgan import ops
from fastgan.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from fastgan.nn import EqualConv2d, EqualLinear
from fastgan.nn.scaling import scaled_before, scaled_together
from fastgan.ops._library import registered_ops_of

SIZES = {"channel_base": 64, "channel_max": 4}


@pytest.fixture
def layers():
    torch.manual_seed(0)
    made = [EqualLinear(3, 3, lr_multiplier=0.1), EqualLinear(3, 3, bias=False), EqualLinear(3, 3)]
    for layer in (made[0], made[2]):
        nn.init.normal_(layer.bias)
    return nn.Sequential(*made)


def gradients_of(layers, x):
    loss = layers(x).square().sum()
    return torch.autograd.grad(loss, list(layers.parameters()))


def test_values_and_gradients_are_those_of_each_layer_alone(layers):
    x = torch.randn(2, 3)
    plain, grads = layers(x), gradients_of(layers, x)
    with scaled_together(list(layers)):
        assert set(scaled_before(layers[0])) == {"weight", "bias"}
        assert scaled_before(layers[2])["bias"] is layers[2].bias
        assert torch.equal(layers(x), plain)
        found = gradients_of(layers, x)
    assert all(torch.equal(a, b) for a, b in zip(found, grads))
    assert scaled_before(layers[0]) is None


def test_layers_that_nothing_depends_on_have_no_gradient(layers):
    layers[1].requires_grad_(False)
    with scaled_together(list(layers)):
        y = layers[1](layers[0](torch.randn(2, 3)))
    first, last = torch.autograd.grad(
        y.sum(), (layers[0].weight, layers[2].weight), allow_unused=True
    )
    assert first.any() and last is None


def test_the_reference_scales_layer_by_layer(layers):
    with ops.use_backend("reference"), scaled_together(list(layers)):
        assert scaled_before(layers[0]) is None
    with scaled_together([]):
        pass


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_halves_are_rounded_after_the_product(half):
    torch.manual_seed(0)
    conv, linear = EqualConv2d(3, 2, 1), EqualLinear(3, 2)
    nn.init.normal_(conv.bias)
    with scaled_together([linear], [conv], half):
        found = {**scaled_before(conv)}
        assert scaled_before(linear)["weight"].dtype == torch.float32
    assert torch.equal(found["weight"], (conv.weight * conv.scale).to(half))
    assert torch.equal(found["bias"], conv.bias.to(half))
    g = torch.randn_like(found["weight"])
    (gradient,) = torch.autograd.grad(found["weight"], conv.weight, g)
    assert torch.equal(gradient, g.float() * conv.scale)


def test_the_op_is_differentiable_to_any_order():
    op = registered_ops_of("cpu").scale_all
    tensors = [torch.randn(2, dtype=torch.double, requires_grad=True) for _ in range(3)]

    def scaled(*tensors):
        return tuple(op(tensors, [2.0, 3.0, 1.0], torch.double, 1))

    assert torch.autograd.gradcheck(scaled, tensors)
    assert torch.autograd.gradgradcheck(scaled, tensors)
    torch.library.opcheck(op, ([t.float() for t in tensors], [2.0, 3.0, 1.0], torch.half, 2))


def test_networks_compute_what_their_layers_do_alone(monkeypatch):
    torch.manual_seed(0)
    d, g = StyleGAN2Discriminator(8, **SIZES), StyleGAN2Generator(8, z_dim=4, w_dim=4, **SIZES)
    z = torch.randn(2, 4)
    found = d(g(z, noise_mode="const"))
    for name in ("discriminator", "mapping", "generator"):
        place = f"fastgan.networks.stylegan2.{name}.scaled_together"
        monkeypatch.setattr(place, lambda *_: scaled_together([]))
    assert torch.equal(d(g(z, noise_mode="const")), found)
