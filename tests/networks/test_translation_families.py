"""UNIT, StarGAN and SPADE against the papers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from fastgan.networks.translation import (
    SPADEGenerator,
    StarGANDiscriminator,
    StarGANGenerator,
    UNITGenerator,
    one_hot_map,
)
from fastgan.networks.translation.spade import SPADEBlock


def count(make) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_numbers_of_parameters():
    """StarGAN's G has 8.4 M, and SPADE's on COCO-Stuff without z 97.5 M.

    COCO-Stuff has 182 classes, the unknown one and edges. Other counts follow from the papers'
    tables.
    """
    assert count(StarGANGenerator) == 8_430_528
    widths = [3, 64, 128, 256, 512, 1024, 2048]
    d = sum(16 * a * b + b for a, b in pairwise(widths)) + 9 * 2048 + 4 * 2048 * 5
    assert count(StarGANDiscriminator) == d == 44_762_048
    assert count(lambda: SPADEGenerator(184)) == 97_480_899
    assert (
        count(lambda: SPADEGenerator(184, z_dim=256))
        == 97_480_899 - 9 * 184 * 1024 - 1024 + 257 * 16384
    )


def test_unit_shares_the_blocks_next_to_the_latents():
    torch.manual_seed(0)
    network, images = UNITGenerator(1, ngf=2, blocks=1), draw(2, 1, 8, 12)
    shared = {id(p) for m in (network.to_latent, network.from_latent) for p in m.parameters()}
    for source, target in ((0, 0), (0, 1), (1, 0)):
        network.zero_grad(set_to_none=True)
        latents = network.encode(images, source)
        assert latents.shape == (2, 8, 2, 3)
        out = network.decode(latents, target)
        assert out.shape == images.shape and torch.equal(out, network(images, source, target))
        out.sum().backward()
        used = {id(p) for p in network.parameters() if p.grad is not None}
        own = [*network.encoders[source].parameters(), *network.decoders[target].parameters()]
        assert used == shared | {id(p) for p in own}


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_units_domains_start_alike_and_learn_apart(norm):
    """Before training a translation equals the image's reconstruction in its own domain."""
    torch.manual_seed(0)
    network, images = (
        UNITGenerator(1, domains=3, ngf=2, blocks=1, norm=norm).eval(),
        draw(2, 1, 8, 12),
    )
    own = network(images, 0, 0)
    for source, target in ((0, 1), (1, 0), (2, 2)):
        assert torch.equal(network(images, source, target), own)
    with torch.no_grad():
        for parameter in (*network.encoders[1].parameters(), *network.decoders[2].parameters()):
            parameter.add_(1)
    assert torch.equal(network(images, 0, 0), own) and torch.equal(network(images, 2, 1), own)
    assert not torch.equal(network(images, 1, 0), own) and not torch.equal(
        network(images, 0, 2), own
    )


@pytest.mark.parametrize("ngf", [8, 32])
def test_units_layers_keep_the_scale_of_their_input(ngf):
    """The scale is kept at any width and without norms.

    So a learning rate suits narrow networks as well as the paper's.
    """
    torch.manual_seed(0)
    network, x = UNITGenerator(3, ngf=ngf, blocks=0, norm="none"), draw(8, 3, 32, 32)
    for layer in (*network.encoders[1][::2], *network.decoders[1][::2]):
        channels = layer.in_channels
        y = layer(x if channels == 3 else draw(8, channels, 32, 32))
        assert 0.4 < y.std() < 1.6, layer
        assert layer.bias is None or not layer.bias.any()


def test_stargans_attributes_change_the_image():
    """Without a norm in the first layer, attributes change pixels far from edges.

    Planes are constant, and the norm removes constants.
    """
    images, middle = draw(1, 3, 64, 64).expand(2, -1, -1, -1), slice(24, 40)
    changes = {}
    for skip in (False, True):
        torch.manual_seed(0)
        network = StarGANGenerator(3, c_dim=2, ngf=4, blocks=0, skip=skip)
        one, other = network(images, torch.eye(2))
        assert one.shape == (3, 64, 64) and (one - other).abs().max() > 1e-3
        changes[skip] = (one - other)[:, middle, middle].abs().max()
    assert changes[True] > 5 * changes[False], changes


@pytest.mark.parametrize("resolution", [8, 32, 128, 256])
def test_stargans_d_returns_patches_and_attributes(resolution):
    with torch.device("meta"):
        d = StarGANDiscriminator(resolution, 3, c_dim=5, ndf=1)
        output = d(torch.empty(2, 3, resolution, resolution))
    side = max(2, resolution // 64)
    (patches,) = output.logits
    assert patches.shape == (2, 1, side, side) and output.class_logits.shape == (2, 5)


def test_a_map_becomes_planes():
    planes = one_hot_map(torch.tensor([[[0, 2], [1, 255]]], dtype=torch.uint8), 3)
    assert planes.dtype == torch.float32 and planes.tolist() == [
        [[[1, 0], [0, 0]], [[0, 0], [1, 0]], [[0, 1], [0, 0]]]
    ]


@pytest.mark.parametrize("channels", [(4, 2), (3, 3)])
def test_a_spade_block_is_the_papers(channels):
    torch.manual_seed(0)
    block, x, planes = (
        SPADEBlock(*channels, 2, 3),
        draw(2, channels[0], 4, 4),
        draw(2, 2, 8, 8, seed=1),
    )

    def spade(x, layer):
        m = F.interpolate(planes, size=x.shape[2:])
        h = F.conv2d(m, layer.shared.weight, layer.shared.bias, padding=1).relu()
        scale, shift = (
            F.conv2d(h, c.weight, c.bias, padding=1) for c in (layer.scale, layer.shift)
        )
        return F.batch_norm(x, None, None, training=True) * (1 + scale) + shift

    def conv(x, layer):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.padding)

    y = conv(spade(x, block.norm1).relu(), block.conv1)
    y = conv(spade(y, block.norm2).relu(), block.conv2)
    learned = channels[0] != channels[1]
    expected = y + (conv(spade(x, block.norm_skip), block.conv_skip) if learned else x)
    torch.testing.assert_close(block(x, planes), expected)


@pytest.mark.parametrize("resolution", [16, 64, 256])
def test_spades_sizes(resolution):
    with torch.device("meta"):
        network = SPADEGenerator(3, 3, resolution=resolution, ngf=1, hidden=1)
        assert network(torch.empty(1, 3, resolution, 2 * resolution)).shape == (
            1,
            3,
            resolution,
            2 * resolution,
        )
    assert [b.conv2.out_channels for b in network.blocks] == {
        16: [4, 2, 1],
        64: [16, 8, 4, 2, 1],
        256: [16, 16, 16, 8, 4, 2, 1],
    }[resolution]


def test_spade_follows_map_and_z():
    torch.manual_seed(0)
    network = SPADEGenerator(2, 1, resolution=16, z_dim=3, ngf=2, hidden=4).eval()
    planes, z = one_hot_map(torch.arange(256).reshape(1, 16, 16) // 40 % 2, 2), draw(1, 3)
    image = network(planes, z)
    assert image.abs().max() <= 1
    assert not torch.allclose(image, network(planes.flip(1), z), atol=1e-3)
    assert not torch.allclose(image, network(planes, -z), atol=1e-3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: UNITGenerator(domains=0), "domains must be a whole number of at least 1, got 0"),
        (
            lambda: UNITGenerator(1, ngf=1)(draw(1, 1, 8, 8), 0, 2),
            "domain must be from 0 to 1, got 2",
        ),
        (lambda: UNITGenerator(1, ngf=1)(draw(1, 1, 10, 8), 0, 1), "multiples of 4, got 10×8"),
        (
            lambda: UNITGenerator(1, ngf=1).decode(draw(1, 1, 8, 8), 0),
            r"latents must be a \[N, 4, H, W\] tensor",
        ),
        (lambda: StarGANGenerator(c_dim=0), "c_dim must be a whole number of at least 1, got 0"),
        (
            lambda: StarGANGenerator(1, ngf=1, blocks=0)(draw(2, 1, 8, 8), draw(2, 4)),
            r"attributes must be a \[2, 5\] tensor, got \[2, 4\]",
        ),
        (lambda: StarGANDiscriminator(48), "resolution must be a power of 2 of at least 8, got 48"),
        (
            lambda: StarGANDiscriminator(16, 1, ndf=1)(draw(1, 1, 8, 16)),
            "images must be 16×16, got 8×16",
        ),
        (lambda: SPADEGenerator(3, resolution=512), "16, 32, 64, 128, 256, got 512"),
        (
            lambda: one_hot_map(draw(1, 4, 4), 3),
            r"must be int64 \[N, H, W\], got torch.float32 \[1, 4, 4\]",
        ),
        (
            lambda: SPADEGenerator(3, 1, resolution=16, ngf=1)(draw(1, 2, 16, 16)),
            r"map must be a \[N, 3, H, W\] tensor, got \[1, 2, 16, 16\]",
        ),
        (
            lambda: SPADEGenerator(3, 1, resolution=16, ngf=1)(draw(1, 3, 16, 16), draw(1, 4)),
            r"z must be None for a SPADE generator without z, got \[1, 4\]",
        ),
        (
            lambda: SPADEGenerator(3, 1, resolution=16, z_dim=4, ngf=1)(draw(1, 3, 16, 16)),
            r"z must be a \[1, 4\] tensor, got none",
        ),
        (
            lambda: SPADEGenerator(3, 1, resolution=16, z_dim=4, ngf=1)(
                draw(1, 3, 16, 20), draw(1, 4)
            ),
            "SPADE generator with z must be 16×16, got 16×20",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
