"""Residual networks of SNGAN, SAGAN and BigGAN against the papers' tables."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import gradcheck

from fastgan.networks.resnet import (
    RESOLUTIONS,
    BigGANGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    attention_resolutions,
    init_orthogonal,
)
from fastgan.networks.resnet.blocks import ClassVectors, DownBlock, NormReLU, UpBlock
from fastgan.nn import apply_spectral_norm


def count(make) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in make().parameters())


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_biggan_has_the_published_numbers_of_parameters():
    """G has 70,433,988 and D 87,982,370 parameters at 128×128 with 1,000 classes and ch = 96.

    The paper rounds the first to 70.4 million; the authors' program prints both.
    """
    assert count(lambda: BigGANGenerator(128, c_dim=1000, attention=64)) == 70_433_988
    d = count(lambda: ResNetDiscriminator(128, c_dim=1000, ndf=96, attention=64, wide=True))
    assert d == 87_982_370


def test_sngan_has_the_numbers_of_its_tables():
    """Counts follow from the layers of tables 4 and 6 (Miyato et al. 2018).

    D has narrow blocks.
    """

    def up(a, b):
        return 9 * a * b + 9 * b * b + 2 * b + a * b + b + 2 * (a + b)

    def down(a, b, hidden, shortcut=True):
        return 9 * a * hidden + hidden + 9 * hidden * b + b + shortcut * (a * b + b)

    g32 = 129 * 16 * 256 + 3 * up(256, 256) + 2 * 256 + 9 * 256 * 3 + 3
    d32 = down(3, 128, 128) + down(128, 128, 128) + 2 * down(128, 128, 128, shortcut=False) + 129
    assert count(ResNetGenerator) == g32 == 4_276_739
    assert count(ResNetDiscriminator) == d32 == 1_053_825
    widths = [1024, 1024, 512, 256, 128, 64]
    g128 = 129 * 16 * 1024 + sum(up(a, b) for a, b in pairwise(widths)) + 2 * 64 + 9 * 64 * 3 + 3
    inside = [64, 128, 256, 512, 1024]
    d128 = down(3, 64, 64) + sum(down(a, b, a) for a, b in pairwise(inside))
    d128 += down(1024, 1024, 1024, shortcut=False) + 1025
    assert count(lambda: ResNetGenerator(128)) == g128 == 32_150_787
    assert count(lambda: ResNetDiscriminator(128)) == d128


def test_widths_at_256_are_biggans():
    """G has 16·ch at 4×4 to ch at 256×256, D ch to 16·ch at 4×4 (appendix B)."""
    with torch.device("meta"):
        g, d = BigGANGenerator(256, z_dim=140, ngf=1, attention=64), ResNetDiscriminator(256, ndf=1)
    assert [block.conv2.out_channels for block in g.layers.blocks] == [16, 8, 8, 4, 2, 1]
    assert [block.conv2.out_channels for block in d.blocks] == [1, 2, 4, 8, 8, 16, 16]
    assert [block.down for block in d.blocks] == [True] * 6 + [False]
    assert g.layers.attends_after == 3 and max(RESOLUTIONS) == 256


@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_shapes(resolution):
    attention = attention_resolutions(resolution)[-1]
    parts = BigGANGenerator.parts_at(resolution)
    z, labels = draw(2, 2 * parts), torch.tensor([0, 2])
    for make in (ResNetGenerator, BigGANGenerator):
        g = make(resolution, 1, z_dim=2 * parts, c_dim=3, ngf=1, attention=attention)
        images = g(z, labels)
        assert images.shape == (2, 1, resolution, resolution) and images.abs().max() <= 1
    for wide in (False, True):
        d = ResNetDiscriminator(resolution, 1, c_dim=3, ndf=1, attention=attention, wide=wide)
        assert d(images, labels).shape == (2,)


@pytest.mark.parametrize("resolution", [16, 32, 64])
def test_attention_is_at_the_given_resolution(resolution):
    sizes, expected = [], []
    for attention in attention_resolutions(resolution):
        g = ResNetGenerator(resolution, 1, z_dim=2, ngf=1, attention=attention)
        d = ResNetDiscriminator(resolution, 1, ndf=1, attention=attention)
        for network in (g, d):
            layer = next(m for m in network.modules() if type(m).__name__ == "SelfAttention2d")
            layer.register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[-1]))
        d(g(draw(2, 2)))
        expected += [attention, attention]
    assert sizes == expected


def test_blocks_are_the_papers_in_their_order():
    """G upsamples by nearest neighbour before the first convolution, D averages after the second.

    Shortcuts do the same.
    """
    torch.manual_seed(0)
    up, down = UpBlock(4, 3, NormReLU), DownBlock(3, 5, hidden=4)
    x, image = draw(2, 4, 4, 4), draw(2, 3, 8, 8)

    def by_hand(x, conv):
        return F.conv2d(x, conv.weight, conv.bias, padding=conv.padding)

    def repeat(x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    y = by_hand(repeat(F.batch_norm(x, None, None, training=True).relu()), up.conv1)
    y = by_hand(F.batch_norm(y, None, None, training=True).relu(), up.conv2)
    assert torch.allclose(up(x), y + by_hand(repeat(x), up.skip), atol=1e-5)
    first = DownBlock(3, 5, hidden=5, first=True)
    for block, given in ((down, image.relu()), (first, image)):
        y = F.avg_pool2d(by_hand(by_hand(given, block.conv1).relu(), block.conv2), 2)
        assert torch.allclose(
            block(image), y + F.avg_pool2d(by_hand(image, block.skip), 2), atol=1e-5
        )
    same = DownBlock(3, 3, hidden=3, down=False)
    y = by_hand(by_hand(image.relu(), same.conv1).relu(), same.conv2)
    assert same.skip is None and torch.allclose(same(image), image + y, atol=1e-5)


def test_the_class_is_projected_on_the_features():
    """D(x, a) - D(x, b) = ⟨v_a - v_b, h⟩ with h summed over positions.

    Without classes D(x) = ⟨w, h⟩ + b.
    """
    torch.manual_seed(0)
    d, images = ResNetDiscriminator(16, 1, c_dim=4, ndf=2), draw(3, 1, 16, 16)
    features = []
    d.out.register_forward_hook(lambda _, args, out: features.append(args[0]))
    of = [d(images, torch.full((3,), k)) for k in (1, 3)]
    vectors = d.classes.weight.T
    assert torch.allclose(of[0] - of[1], features[0] @ (vectors[1] - vectors[3]), atol=1e-5)
    last = []
    d.blocks[-1].register_forward_hook(lambda _, args, out: last.append(out))
    d(images, torch.zeros(3, dtype=torch.int64))
    assert torch.allclose(features[0], last[0].relu().sum((2, 3)), atol=1e-5)


def test_vectors_of_classes_are_normalised_like_other_layers():
    torch.manual_seed(0)
    d = apply_spectral_norm(ResNetDiscriminator(16, 1, c_dim=4, ndf=2, attention=8))
    normed = [m for m in d.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert any(isinstance(m, ClassVectors) for m in normed) and len(normed) == 4 * 2 + 2 + 4 + 2
    for layer in normed:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2) == pytest.approx(
            1, rel=0.15
        )


def test_each_part_of_z_reaches_its_block_and_the_class_all_of_them():
    torch.manual_seed(0)
    g = BigGANGenerator(16, 1, z_dim=6, c_dim=3, embedding_dim=4, ngf=2)
    seen = []
    for module in g.modules():
        if isinstance(module, UpBlock):
            module.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    z, labels = draw(2, 6), torch.tensor([2, 1])
    g(z, labels)
    assert [s.shape for s in seen] == [(2, 6), (2, 6)]
    for i, condition in enumerate(seen):
        assert torch.equal(condition[:, :2], z[:, 2 * i + 2 : 2 * i + 4])
        assert torch.equal(condition[:, 2:], g.embedding.weight[labels])


def test_biggan_splits_z_and_the_first_part_has_the_remainder():
    for z_dim, lengths in ((3, [1, 1, 1]), (6, [2, 2, 2]), (8, [4, 2, 2])):
        g = BigGANGenerator(16, 1, z_dim=z_dim, ngf=1)
        assert g.lengths == lengths
        z = draw(2, z_dim).requires_grad_()
        (gradient,) = torch.autograd.grad(g(z).square().sum(), z)
        assert (gradient != 0).any(0).all(), "every number of z reaches the image"


@pytest.mark.parametrize("make", [ResNetGenerator, BigGANGenerator])
def test_the_class_changes_the_image(make):
    torch.manual_seed(0)
    g = make(16, 1, z_dim=6, c_dim=3, ngf=2)
    for name, p in g.named_parameters():
        if name.endswith(("scale.weight", "shift.weight")):
            # SNGAN's start at zero.
            nn.init.normal_(p)
    g.eval()
    z = draw(1, 6).expand(2, 6)
    one, other = g(z, torch.tensor([0, 1]))
    assert not torch.allclose(one, other, atol=1e-3)


def test_biggans_weights_start_orthogonal():
    torch.manual_seed(0)
    d = ResNetDiscriminator(16, 1, c_dim=3, ndf=2, attention=8, wide=True).apply(init_orthogonal)
    for network in (BigGANGenerator(16, 1, z_dim=6, c_dim=3, ngf=2), d):
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear, nn.Embedding)):
                singular = torch.linalg.svdvals(layer.weight.detach().flatten(1))
                assert torch.allclose(singular, torch.ones_like(singular), atol=1e-4)
                assert getattr(layer, "bias", None) is None or not layer.bias.any()


def test_a_penalty_through_all_layers_of_d():
    """The gradient of R1 in every weight agrees with finite differences.

    D has blocks, attention, projection and spectral norm.
    """
    torch.manual_seed(0)
    d = ResNetDiscriminator(16, 1, c_dim=2, ndf=1, attention=8).double()
    nn.init.constant_(d.attention.gain, 0.5)
    apply_spectral_norm(d).eval()
    names, parameters = zip(*d.named_parameters())
    images, labels = draw(2, 1, 16, 16, dtype=torch.float64).requires_grad_(), torch.tensor([0, 1])

    def r1(*weights):
        logits = torch.func.functional_call(d, dict(zip(names, weights)), (images, labels))
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return gradient.square().sum()

    assert gradcheck(r1, parameters, fast_mode=True)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ResNetGenerator(28), "resolution must be one of 16, 32, 64, 128, 256, got 28"),
        (lambda: ResNetDiscriminator(8), "resolution must be one of 16, 32, 64, 128, 256, got 8"),
        (lambda: ResNetGenerator(ngf=0), "ngf must be a whole number of at least 1, got 0"),
        (
            lambda: ResNetGenerator(16, attention=16),
            r"a resolution inside the network \(8\), got 16",
        ),
        (lambda: ResNetDiscriminator(32, attention=4), r"inside the network \(8, 16\), got 4"),
        (
            lambda: BigGANGenerator(32, z_dim=120, ngf=1, c_dim=2)(torch.ones(2, 120)),
            r"class indices int64 \[2\] from 0 to 1, got none; this network needs them",
        ),
        (lambda: BigGANGenerator(256, z_dim=6), "z_dim must be at least 7 at 256×256, got 6"),
        (
            lambda: ResNetGenerator(16, ngf=1)(torch.ones(2, 128), torch.zeros(2)),
            "a network without classes, got",
        ),
        (
            lambda: ResNetDiscriminator(16, 1, c_dim=2, ndf=1)(
                torch.ones(2, 1, 16, 16), torch.zeros(2, 2)
            ),
            r"labels must be class indices int64 \[2\] .* got torch.float32 \[2, 2\]",
        ),
    ],
)
def test_wrong_arguments_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
