"""U-Net, CycleGAN's generator and patch discriminators against the papers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fastgan.networks.translation import (
    CycleGANGenerator,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    UNetGenerator,
)
from fastgan.networks.translation.layers import DownConv2d, ImageConv2d, ResidualBlock, UpConv2d
from fastgan.networks.translation.patchgan import HALVINGS
from fastgan.nn import apply_spectral_norm


def count(make) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_numbers_of_parameters():
    """The papers' networks have 54.414 M, 11.378 M and 2.769 M parameters.

    5,248 biases of the second are left out here, since norms remove them.
    """
    assert count(UNetGenerator) == 54_414_531
    assert count(CycleGANGenerator) + 64 + 128 + 256 + 18 * 256 + 128 + 64 == 11_378_179
    assert count(lambda: PatchDiscriminator(label_channels=3, norm="batch")) == 2_768_705


def test_layers_of_stride_two_are_torchs():
    up, down, x = UpConv2d(3, 5), DownConv2d(3, 5), draw(2, 3, 6, 8)
    expected = F.conv_transpose2d(x, up.weight, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(up(x), expected)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), down.weight, stride=2)
    torch.testing.assert_close(down(x), expected)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_the_last_layer_is_a_convolution_and_tanh(mode):
    """The CPU computes it by rows."""
    layer, x = ImageConv2d(3, 2, padding_mode=mode), draw(2, 3, 6, 8).requires_grad_()
    padded = F.pad(x, (3, 3, 3, 3), "constant" if mode == "zeros" else mode)
    expected = F.conv2d(padded, layer.weight, layer.bias).tanh()
    y, tensors = layer(x), (x, layer.weight, layer.bias)
    torch.testing.assert_close(y, expected)
    gradients = (torch.autograd.grad(t.square().sum(), tensors) for t in (y, expected))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_a_residual_block_is_the_papers():
    torch.manual_seed(0)
    block, x = ResidualBlock(3), draw(2, 3, 5, 5)

    def layer(x, conv):
        return F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), conv.weight))

    torch.testing.assert_close(block(x), x + layer(layer(x, block.conv1).relu(), block.conv2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: UNetGenerator(3, 2, resolution=8, ngf=2, norm="instance"),
        lambda: UNetGenerator(3, 2, resolution=8, ngf=2, norm="batch"),
        lambda: CycleGANGenerator(3, 2, ngf=2, blocks=1),
        lambda: CycleGANGenerator(3, 2, ngf=2, blocks=1, norm="none"),
    ],
)
def test_generators_keep_the_size_and_treat_images_separately(make):
    torch.manual_seed(0)
    network, images = make().eval(), draw(2, 3, 8, 16)
    out = network(images)
    assert out.shape == (2, 2, 8, 16) and out.abs().max() <= 1
    torch.testing.assert_close(out[:1], network(images[:1]))


def test_the_unets_outer_skip_carries_details():
    """A pixel changes the result beyond the first level even without the innermost level."""
    torch.manual_seed(0)
    network, images = (
        UNetGenerator(1, 1, resolution=8, ngf=2, norm="instance").eval(),
        draw(1, 1, 8, 8),
    )
    nn.init.zeros_(network.up[0][0].weight)
    other = images.clone()
    other[..., 0, 0] += 1
    assert (network(images) - network(other))[..., :2, :2].abs().max() > 1e-4


def test_the_unets_noise():
    torch.manual_seed(0)
    images = draw(1, 1, 16, 16)
    for always in (False, True):
        network = UNetGenerator(1, 1, resolution=16, ngf=2, norm="instance", dropout_in_eval=always)
        assert not torch.equal(network(images), network(images))
        network.eval()
        assert torch.equal(network(images), network(images)) is not always


@pytest.mark.parametrize("patch", HALVINGS)
def test_a_logit_depends_on_a_patch(patch):
    """The gradient of a logit in the middle, without norm, covers the patch."""
    torch.manual_seed(0)
    d = PatchDiscriminator(1, patch=patch, ndf=1, norm="none")
    size = max(2 * patch, d.min_size) // 2**5 * 2**5 + 2**5
    images = draw(1, 1, size, size).requires_grad_()
    logits = d(images)
    middle = logits.shape[-1] // 2
    (seen,) = torch.autograd.grad(logits[0, 0, middle, middle], images)
    rows = seen[0, 0].abs().sum(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == patch
    smallest = d(draw(1, 1, d.min_size, d.min_size))
    assert smallest.shape == (1, 1, 1, 1)


def test_scales_take_halved_images():
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(3, scales=2, label_channels=1, patch=16, ndf=2)
    images, labels = draw(2, 3, 12, 12), draw(2, 1, 12, 12, seed=1)
    output = network(images, labels)
    assert [list(t.shape) for t in output.logits] == [[2, 1, 4, 4], [2, 1, 1, 1]]
    assert [[list(t.shape) for t in scale] for scale in output.features] == [
        [[2, 2, 6, 6], [2, 4, 5, 5]],
        [[2, 2, 3, 3], [2, 4, 2, 2]],
    ]
    both = torch.cat([images, labels], 1)
    ones = F.avg_pool2d(torch.ones_like(both), 3, 2, 1)
    # Means over pixels inside the image.
    half = F.avg_pool2d(both, 3, 2, 1) / ones
    torch.testing.assert_close(output.logits[1], network.scales[1](half))


def test_scales_under_spectral_norm():
    torch.manual_seed(0)
    network = apply_spectral_norm(MultiScaleDiscriminator(1, scales=2, patch=16, ndf=2))
    network(draw(1, 1, 12, 12))
    for scale in network.scales:
        for layer in scale.modules():
            if isinstance(layer, nn.Conv2d):
                assert torch.linalg.matrix_norm(
                    layer.weight.detach().flatten(1), 2
                ) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: UNetGenerator(resolution=48), "a power of 2 of at least 4, got 48"),
        (lambda: UNetGenerator(ngf=0), "ngf must be a whole number of at least 1, got 0"),
        (lambda: UNetGenerator(dropout=1), "dropout must be at least 0 and less than 1, got 1"),
        (
            lambda: UNetGenerator(norm="layer"),
            "norm must be one of instance, batch, none, got 'layer'",
        ),
        (
            lambda: UNetGenerator(1, 1, resolution=16, ngf=1)(draw(1, 1, 24, 16)),
            "at least 16 pixels high and wide, multiples of 16, got 24×16; resize, crop or pad",
        ),
        (lambda: CycleGANGenerator(blocks=-1), "blocks"),
        (
            lambda: CycleGANGenerator(1, 1, ngf=1, blocks=0)(draw(1, 1, 4, 4)),
            "at least 8 pixels high and wide",
        ),
        (
            lambda: CycleGANGenerator(1, 1, ngf=1, blocks=0)(draw(1, 3, 8, 8)),
            r"CycleGAN's images must be a \[N, 1, H, W\] tensor, got \[1, 3, 8, 8\]",
        ),
        (
            lambda: PatchDiscriminator(patch=64),
            "patch must be one of 1, 16, 34, 70, 142, 286, got 64",
        ),
        (
            lambda: PatchDiscriminator(1, ndf=1)(draw(1, 1, 16, 16)),
            "at least 24 pixels high and wide, got 16×16",
        ),
        (
            lambda: PatchDiscriminator(1, label_channels=2, patch=1)(draw(1, 1, 8, 8)),
            r"labels must be a \[1, 2, 8, 8\] tensor, got none",
        ),
        (
            lambda: PatchDiscriminator(1, patch=1)(draw(1, 1, 8, 8), draw(1, 1, 8, 8)),
            "labels must be None for a network without classes",
        ),
        (
            lambda: MultiScaleDiscriminator(scales=0),
            "scales must be a whole number of at least 1, got 0",
        ),
        (
            lambda: MultiScaleDiscriminator(1, ndf=1)(draw(1, 1, 48, 48)),
            "at least 24 pixels high and wide, got 12×12",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
