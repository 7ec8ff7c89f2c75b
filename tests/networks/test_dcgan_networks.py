"""Networks of DCGAN against the paper's table."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from fastgan.networks.dcgan import RESOLUTIONS, DCGANDiscriminator, DCGANGenerator, stage_widths
from fastgan.nn import BiasAct, Conv2d, ConvTranspose2d


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def paper_counts(widths: list[int], *, z_dim: int, channels: int) -> tuple[int, int]:
    """Return the parameters of G and D from the widths at 4×4, 8×8, ….

    Kernels are 4×4; a normalised channel has two parameters.
    """
    kernels = sum(16 * a * b for a, b in pairwise(widths)) + 16 * widths[-1] * channels
    g = 16 * z_dim * widths[0] + kernels + 2 * sum(widths)
    d = 16 * widths[0] + kernels + 2 * sum(widths[:-1])
    return g, d


def test_counts_are_the_published_ones_at_64():
    assert paper_counts([512, 256, 128, 64], z_dim=100, channels=3) == (3_576_704, 2_765_568)
    assert count(DCGANGenerator()) == 3_576_704
    assert count(DCGANDiscriminator()) == 2_765_568


@pytest.mark.parametrize(
    ("resolution", "widths"),
    [
        (16, [16, 8]),
        (32, [32, 16, 8]),
        (64, [64, 32, 16, 8]),
        (128, [64, 64, 32, 16, 8]),
        (256, [64, 64, 64, 32, 16, 8]),
    ],
)
def test_every_resolution(resolution, widths):
    assert stage_widths(resolution, 8) == widths
    g, d = DCGANGenerator(resolution, 1, z_dim=10, ngf=8), DCGANDiscriminator(resolution, 1, ndf=8)
    assert (count(g), count(d)) == paper_counts(widths, z_dim=10, channels=1)
    images = g(torch.randn(2, 10))
    assert images.shape == (2, 1, resolution, resolution)
    assert images.abs().max() <= 1
    assert d(images).shape == (2,)


@pytest.mark.parametrize("resolution", [0, 8, 28, 63, 512])
def test_other_resolutions_are_refused(resolution):
    assert resolution not in RESOLUTIONS
    with pytest.raises(ValueError, match="must be one of"):
        DCGANGenerator(resolution)


def test_networks_without_channels_and_unknown_norms_are_refused():
    with pytest.raises(ValueError, match="ngf must be a whole number of at least 1, got 0"):
        DCGANGenerator(16, ngf=0)
    with pytest.raises(
        ValueError, match="norm must be one of batch, layer, instance, none, got 'b"
    ):
        DCGANDiscriminator(16, norm="bach")


def test_batch_norm_everywhere_but_g_output_and_d_input():
    g, d = DCGANGenerator(), DCGANDiscriminator()
    kinds_g = [type(layer) for layer in g.layers]
    kinds_d = [type(layer) for layer in d.layers]
    assert kinds_g == [ConvTranspose2d, nn.BatchNorm2d, BiasAct] * 4 + [
        ConvTranspose2d,
        BiasAct,
    ]
    assert kinds_d == [Conv2d, BiasAct] + [Conv2d, nn.BatchNorm2d, BiasAct] * 3 + [Conv2d]
    assert [layer.act for layer in g.layers if isinstance(layer, BiasAct)] == ["relu"] * 4 + [
        "tanh"
    ]
    assert [layer.act for layer in d.layers if isinstance(layer, BiasAct)] == ["lrelu"] * 4
    rectified = [
        layer
        for layer in [*g.layers, *d.layers]
        if isinstance(layer, BiasAct) and layer.act in ("relu", "lrelu")
    ]
    assert rectified and all(layer.gain == 1 for layer in rectified)


def test_initial_weights_follow_the_paper():
    torch.manual_seed(0)
    for network in (DCGANGenerator(), DCGANDiscriminator()):
        for layer in network.layers:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                n = layer.weight.numel()
                assert abs(layer.weight.mean().item()) < 5 * 0.02 / n**0.5
                assert layer.weight.std().item() == pytest.approx(0.02, rel=5 / (2 * n) ** 0.5)
                assert layer.bias is None
            elif isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(
                    1.0, abs=5 * 0.02 / layer.num_features**0.5
                )
                assert layer.weight.std().item() == pytest.approx(
                    0.02, rel=5 / (2 * layer.num_features) ** 0.5
                )
                assert not layer.bias.any()


def test_logits_are_not_squashed():
    """A sigmoid before the cross-entropy would keep logits in (0, 1)."""
    torch.manual_seed(0)
    assert (DCGANDiscriminator(16, 1, ndf=8)(torch.randn(64, 1, 16, 16)) < 0).any()


def test_labels_are_appended_to_z_and_to_the_image():
    torch.manual_seed(0)
    g = DCGANGenerator(16, 1, z_dim=10, ngf=8, c_dim=3)
    d = DCGANDiscriminator(16, 1, ndf=8, c_dim=3)
    widths = [16, 8]
    # G has a vector per class, D a plane.
    assert count(g) - 3 * 3 == paper_counts(widths, z_dim=10 + 3, channels=1)[0]
    assert count(d) - 3 * 16**2 == paper_counts(widths, z_dim=0, channels=1)[1] + 16 * 8
    z, labels = torch.randn(3, 10), torch.tensor([0, 1, 2])
    images = g(z, labels)
    assert torch.equal(images, g(z, labels)) and d(images, labels).shape == (3,)
    g.eval(), d.eval()
    assert not torch.equal(g(z, labels)[1], g(z, labels.roll(1))[1])
    assert not torch.equal(d(images, labels), d(images, labels.roll(1)))


def test_missing_and_needless_labels_are_named():
    with pytest.raises(ValueError, match=r"int64 \[3\] from 0 to 2, got none"):
        DCGANGenerator(16, 1, z_dim=10, ngf=8, c_dim=3)(torch.randn(3, 10))
    with pytest.raises(
        ValueError, match=r"for a network without classes, got \[3\]; leave them out"
    ):
        DCGANDiscriminator(16, 1, ndf=8)(torch.randn(3, 1, 16, 16), torch.tensor([0, 1, 2]))


@pytest.mark.parametrize("norm", ["layer", "instance", "none"])
def test_other_norms_keep_the_images_of_a_batch_apart(norm):
    """∇D(x) is then the gradient of one image, as gradient penalties need it."""
    torch.manual_seed(0)
    images = torch.randn(4, 1, 32, 32)
    d, batch = (DCGANDiscriminator(32, 1, ndf=4, norm=n) for n in (norm, "batch"))
    torch.testing.assert_close(d(images)[:2], d(images[:2]))
    assert (batch(images)[:2] - batch(images[:2])).abs().max() > 1e-3
    kinds = {"layer": nn.GroupNorm, "instance": nn.InstanceNorm2d}
    assert sum(isinstance(m, kinds.get(norm, nn.BatchNorm2d)) for m in d.modules()) == 2 * (
        norm in kinds
    )


@pytest.mark.parametrize(("norm", "over"), [("layer", (1, 2, 3)), ("instance", (2, 3))])
def test_norms_are_over_the_elements_of_their_name(norm, over):
    d = DCGANDiscriminator(32, 1, ndf=4, norm=norm)
    x = 3 + 2 * torch.randn(2, 8, 8, 8)
    # The norm after the second convolution.
    y = d.layers[3](x)
    torch.testing.assert_close(y.mean(over), torch.zeros_like(y.mean(over)), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        y.var(over, correction=0), torch.ones_like(y.mean(over)), atol=1e-3, rtol=0
    )


def test_a_network_without_norm_has_biases():
    d = DCGANDiscriminator(32, 1, ndf=4, norm="none")
    assert [list(p.shape) for name, p in d.named_parameters() if name.endswith("bias")] == [
        [4],
        [8],
        [16],
    ]


def test_dropout_of_d_acts_in_training_only():
    torch.manual_seed(0)
    d, images = (
        DCGANDiscriminator(16, 1, ndf=4, norm="none", dropout=0.5),
        torch.randn(2, 1, 16, 16),
    )
    assert not torch.equal(d(images), d(images))
    d.eval()
    assert torch.equal(d(images), d(images))


@pytest.mark.parametrize("parts", [{"minibatch_discrimination": 4}, {"minibatch_stddev": 4}])
def test_d_compares_the_images_of_a_batch(parts):
    """The same image gets other logits in a collapsed than in a varied batch."""
    torch.manual_seed(0)
    image, others = torch.randn(1, 1, 16, 16), torch.randn(3, 1, 16, 16)
    varied, collapsed = torch.cat([image, others]), image.expand(4, -1, -1, -1)
    plain, d = (DCGANDiscriminator(16, 1, ndf=4, norm="none", **p) for p in ({}, parts))
    torch.testing.assert_close(plain(varied)[0], plain(collapsed)[0])
    assert (d(varied)[0] - d(collapsed)[0]).abs() > 1e-4
    assert count(d) - count(plain) == (
        128 * 4 * 5 + 4 if "minibatch_discrimination" in parts else 16
    )
