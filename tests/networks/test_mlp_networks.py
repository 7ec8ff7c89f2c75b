"""Perceptrons of `gan`: sizes, shapes and layers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from fastgan.networks.mlp import MLPDiscriminator, MLPGenerator

MNIST = (1, 28, 28)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def dense(*widths: int) -> int:
    """Return the number of weights and biases of a perceptron."""
    return sum(a * b + b for a, b in pairwise(widths))


def test_generator_has_the_published_layers():
    batch_norms = 2 * (256 + 512 + 1024)
    assert count(MLPGenerator(MNIST)) == dense(100, 256, 512, 1024, 784) + batch_norms == 1_489_936


def test_discriminator_has_the_published_layers():
    assert count(MLPDiscriminator(MNIST)) == dense(784, 512, 256, 1) == 533_505


def test_the_64_256_pair():
    g = MLPGenerator(MNIST, z_dim=64, hidden=(256, 256), act="relu", batch_norm=False)
    d = MLPDiscriminator(MNIST, hidden=(256, 256), dropout=0)
    assert count(g) == dense(64, 256, 256, 784) == 283_920
    assert count(d) == dense(784, 256, 256, 1) == 267_009
    assert not any(
        isinstance(layer, (nn.Dropout, nn.BatchNorm1d)) for layer in [*g.modules(), *d.modules()]
    )


def test_shapes_and_range_for_any_image():
    for shape in [(1, 28, 28), (3, 16, 16), (1, 7, 7)]:
        images = MLPGenerator(shape)(torch.randn(4, 100))
        assert images.shape == (4, *shape)
        assert images.abs().max() <= 1
        assert MLPDiscriminator(shape)(images).shape == (4,)


def test_generator_equals_the_textbook_layers():
    """Linear → LeakyReLU(0.2) → batch norm, then Linear → tanh, have the same results."""
    g = MLPGenerator((1, 4, 4), z_dim=5, hidden=(8,)).double()
    linear, act, norm, last, tanh = g.layers
    with torch.no_grad():
        act.bias.normal_()
        tanh.bias.normal_()
    z = torch.randn(6, 5, dtype=torch.float64)
    hidden = nn.functional.leaky_relu(z @ linear.weight.T + act.bias, 0.2)
    hidden = nn.functional.batch_norm(hidden, None, None, norm.weight, norm.bias, training=True)
    expected = torch.tanh(hidden @ last.weight.T + tanh.bias).view(6, 1, 4, 4)
    torch.testing.assert_close(g(z), expected)


def test_dropout_acts_in_training_only():
    d = MLPDiscriminator(MNIST)
    images = torch.rand(2, *MNIST)
    assert not torch.equal(d(images), d(images))
    d.eval()
    assert torch.equal(d(images), d(images))


def test_labels_are_appended_to_z_and_to_the_pixels():
    torch.manual_seed(0)
    g = MLPGenerator((1, 4, 4), z_dim=5, hidden=(8,), c_dim=3, batch_norm=False)
    d = MLPDiscriminator((1, 4, 4), hidden=(8,), dropout=0, c_dim=3)
    assert count(g) == dense(5 + 3, 8, 16) + 3 * 3 and count(d) == dense(16 + 3, 8, 1) + 3 * 3
    z, labels = torch.randn(3, 5), torch.tensor([0, 1, 2])
    images = g(z, labels)
    assert (images - g(z, labels.roll(1))).abs().amin(0).max() > 0 and (g.c_dim, g.z_dim) == (3, 5)
    hidden = nn.functional.leaky_relu(
        torch.cat([images.flatten(1), d.embedding.weight], 1) @ d.layers[1].weight.T, 0.2
    )
    torch.testing.assert_close(d(images, labels), d.layers[3](hidden).squeeze(1))
    torch.testing.assert_close(d.features(images, labels), hidden)


def test_d_compares_the_images_of_a_batch():
    torch.manual_seed(0)
    image, others = torch.randn(1, 1, 4, 4), torch.randn(3, 1, 4, 4)
    for parts in ({"minibatch_discrimination": 4}, {"minibatch_stddev": 2}):
        d = MLPDiscriminator((1, 4, 4), hidden=(8,), dropout=0, **parts)
        told = d(torch.cat([image, others]))[0] - d(image.expand(4, -1, -1, -1))[0]
        assert told.abs() > 1e-4, parts


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"image_shape": 8}, r"image_shape must be three whole numbers .*\(C, H, W\), got 8"),
        ({"image_shape": (1, 0, 8)}, r"image_shape must be three .* got \(1, 0, 8\)"),
        ({"hidden": (8, 0)}, r"hidden\[1\] must be a whole number of at least 1, got 0"),
        ({"act": "rleu"}, "act must be one of .* got 'rleu'"),
    ],
)
def test_arguments_out_of_range(arguments, says):
    with pytest.raises(ValueError, match=says):
        MLPGenerator(**{"image_shape": (1, 8, 8), **arguments})
