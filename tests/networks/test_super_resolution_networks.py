"""SRResNet, RRDBNet and SRGAN's discriminator against the papers."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from fastgan.networks.translation import RRDBNet, SRGANDiscriminator, SRResNet


def count(make) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_numbers_of_parameters():
    """SRResNet has the paper's 1.5 M; other counts follow from the papers' figures."""
    block = 2 * 9 * 64 * 64 + 2 * 128 + 1
    ends = 2 * 81 * 3 * 64 + 64 + 3 + 1 + 9 * 64 * 64 + 128 + 2 * (9 * 64 * 256 + 256 + 1)
    assert count(SRResNet) == 16 * block + ends == 1_547_350
    dense = sum(9 * (64 + 32 * i) * 32 + 32 for i in range(4)) + 9 * 192 * 64 + 64
    ends = 9 * 3 * 64 + 64 + 2 * (9 * 64 * 64 + 64) + 2 * (9 * 64 * 256 + 256) + 9 * 64 * 3 + 3
    assert count(RRDBNet) == 23 * 3 * dense + ends == 16_919_555
    widths = [64, 64, 128, 128, 256, 256, 512, 512]
    d = 27 * 64 + 64 + sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    assert count(SRGANDiscriminator) == d + 512 * 36 * 1024 + 1024 + 1025


@pytest.mark.parametrize("make", [SRResNet, RRDBNet])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_images_grow(make, scale):
    with torch.device("meta"):
        network = make(1, scale=scale, blocks=1, ngf=2)
        assert network(torch.empty(2, 1, 5, 4)).shape == (2, 1, 5 * scale, 4 * scale)


def test_srresnet_is_the_papers():
    torch.manual_seed(0)
    network, images = SRResNet(1, scale=2, blocks=1, ngf=2), draw(2, 1, 6, 6)

    def conv(x, layer):
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.padding)

    def norm(x):
        return F.batch_norm(x, None, None, training=True)

    def prelu(x):
        return F.leaky_relu(x, 0.25)

    x = prelu(conv(images, network.start[0]))
    (block,) = network.blocks
    y = x + norm(conv(prelu(norm(conv(x, block.conv1))), block.conv2))
    y = x + norm(conv(y, network.end[0]))
    y = prelu(F.pixel_shuffle(conv(y, network.up[0][0]), 2))
    torch.testing.assert_close(network(images), conv(y, network.out))


def test_a_residual_srresnet_starts_as_bicubic_and_adds_to_it():
    torch.manual_seed(0)
    network, images = SRResNet(1, scale=2, blocks=1, ngf=2, residual=True), draw(2, 1, 6, 5)
    enlarged = F.interpolate(images, size=(12, 10), mode="bicubic")
    torch.testing.assert_close(network(images), enlarged)
    plain = SRResNet(1, scale=2, blocks=1, ngf=2)
    network.load_state_dict(plain.state_dict())
    torch.testing.assert_close(network(images), enlarged + 0.1 * plain(images))


def test_rrdb_is_the_papers():
    torch.manual_seed(0)
    network, images = RRDBNet(1, scale=2, blocks=1, ngf=2, growth=3), draw(1, 1, 5, 5)

    def conv(x, layer):
        return F.conv2d(x, layer.weight, layer.bias, padding=1)

    def dense(x, block):
        seen = [x]
        for layer in block.inner:
            seen.append(F.leaky_relu(conv(torch.cat(seen, 1), layer), 0.2))
        return x + 0.2 * conv(torch.cat(seen, 1), block.last)

    x = y = conv(images, network.start)
    for block in network.blocks[0].blocks:
        y = dense(y, block)
    y = x + conv(x + 0.2 * y, network.end)
    y = F.leaky_relu(F.pixel_shuffle(conv(y, network.up[0][0]), 2), 0.2)
    torch.testing.assert_close(
        network(images), conv(F.leaky_relu(conv(y, network.last), 0.2), network.out)
    )


def test_srgans_d_has_a_logit_for_each_image():
    torch.manual_seed(0)
    d, images = SRGANDiscriminator(32, 1, ndf=2, norm="none"), draw(3, 1, 32, 32)
    assert d(images).shape == (3,)
    torch.testing.assert_close(d(images)[:1], d(images[:1]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: SRResNet(scale=3), "scale must be one of 2, 4, 8, got 3"),
        (lambda: SRResNet(blocks=0), "blocks must be a whole number of at least 1, got 0"),
        (lambda: RRDBNet(growth=0), "growth must be a whole number of at least 1, got 0"),
        (
            lambda: SRResNet(1, blocks=1, ngf=1)(draw(1, 3, 4, 4)),
            r"must be a \[N, 1, H, W\] tensor, got \[1, 3, 4, 4\]",
        ),
        (
            lambda: SRGANDiscriminator(40),
            "resolution must be a multiple of 16 of at least 32, got 40",
        ),
        (
            lambda: SRGANDiscriminator(32, 1, ndf=1)(draw(1, 1, 48, 48)),
            "images must be 32×32, got 48×48; crop or resize",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
