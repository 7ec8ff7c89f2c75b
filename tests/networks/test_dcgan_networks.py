"""DCGAN's networks against the paper's table."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from fastgan.networks.dcgan import RESOLUTIONS, DCGANDiscriminator, DCGANGenerator, stage_widths
from fastgan.nn import BiasAct, Conv2d


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def paper_counts(widths: list[int], *, z_dim: int, channels: int) -> tuple[int, int]:
    """Parameters of G and D from the widths at 4×4, 8×8, …: 4×4 kernels, and two per normed channel."""
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


def test_batch_norm_everywhere_but_g_output_and_d_input():
    g, d = DCGANGenerator(), DCGANDiscriminator()
    kinds_g = [type(layer) for layer in g.layers]
    kinds_d = [type(layer) for layer in d.layers]
    assert kinds_g == [nn.ConvTranspose2d, nn.BatchNorm2d, BiasAct] * 4 + [nn.ConvTranspose2d, BiasAct]
    assert kinds_d == [Conv2d, BiasAct] + [Conv2d, nn.BatchNorm2d, BiasAct] * 3 + [Conv2d]
    assert [layer.act for layer in g.layers if isinstance(layer, BiasAct)] == ["relu"] * 4 + ["tanh"]
    assert [layer.act for layer in d.layers if isinstance(layer, BiasAct)] == ["lrelu"] * 4
    assert all(layer.gain == 1 for layer in [*g.layers, *d.layers] if isinstance(layer, BiasAct))


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
    """A sigmoid before the cross-entropy would show as logits that stay in (0, 1)."""
    torch.manual_seed(0)
    assert (DCGANDiscriminator(16, 1, ndf=8)(torch.randn(64, 1, 16, 16)) < 0).any()
