"""Networks of R3GAN: sizes, initial state, and gradients of R1 and R2."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fastgan import ops
from fastgan.losses import penalties
from fastgan.losses.adversarial import relativistic_d_loss
from fastgan.networks.r3gan import (
    InvertedBottleneck,
    R3GANDiscriminator,
    R3GANGenerator,
    stage_widths,
)
from tests.specs.conv2d_calls import ConvolutionCalls

SIZES = {"channel_base": 64, "channel_max": 8, "group_size": 4}


def discriminator(resolution=8, channels=3, *, moved=True, **sizes):
    """Return a discriminator with random weights in place of initial zeros."""
    torch.manual_seed(0)
    d = R3GANDiscriminator(resolution, channels, **(SIZES | sizes))
    for name, p in d.named_parameters() if moved else ():
        if not p.any():
            torch.nn.init.normal_(p, std=0.1 if name.endswith("bias") else 0.3)
    return d


def images_for(count, resolution=8, seed=0):
    return torch.randn(
        count, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed)
    )


def test_parameters_are_those_of_the_paper():
    """FFHQ-256, the last row of table 1, has 23.058 M and 23.010 M."""
    with torch.device("meta"):
        g, d = R3GANGenerator(256), R3GANDiscriminator(256)
    assert sum(p.numel() for p in g.parameters()) == 23_057_952
    assert sum(p.numel() for p in d.parameters()) == 23_009_568
    assert stage_widths(256, 24576, 768) == [768, 768, 768, 768, 384, 192, 96]
    groups = {m.groups for m in g.modules() if isinstance(m, torch.nn.Conv2d)} - {1}
    assert groups == {96, 48, 24, 12}


def test_blocks_start_as_the_identity():
    torch.manual_seed(0)
    block = InvertedBottleneck(8, expansion=2, group_size=4, scale=0.5)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    with torch.no_grad():
        block.project.weight.normal_()
        inside = F.leaky_relu(F.conv2d(x, block.expand.weight, block.expand.bias), 0.2)
        inside = F.leaky_relu(
            F.conv2d(inside, block.grouped.weight, block.grouped.bias, padding=1, groups=4), 0.2
        )
        assert torch.allclose(block(x), x + F.conv2d(inside, block.project.weight), atol=1e-5)


def test_variance_at_the_start():
    """A new network consists of linear layers and keeps the variance around 1."""
    torch.manual_seed(0)
    sizes = {"channel_base": 1024, "channel_max": 64}
    with torch.no_grad():
        images = R3GANGenerator(32, **sizes)(torch.randn(64, 64))
        logits = R3GANDiscriminator(32, **sizes)(torch.randn(64, 3, 32, 32))
    assert 0.1 < images.std() < 3 and 0.01 < logits.std() < 3
    # One of 8 blocks, with 32 channels.
    inside = R3GANDiscriminator(32, **sizes).layers[0].expand.weight
    assert inside.std().item() == pytest.approx(8**-0.25 * (2 / 1.04 / 32) ** 0.5, rel=0.1)


def test_with_classes():
    torch.manual_seed(0)
    g, d = R3GANGenerator(8, z_dim=4, c_dim=3, **SIZES), R3GANDiscriminator(8, c_dim=3, **SIZES)
    z, images = torch.randn(1, 4).expand(3, 4), images_for(1).expand(3, 3, 8, 8)
    labels = torch.arange(3)
    for found in (g(z, labels).flatten(1), d(images, labels)[:, None]):
        assert torch.pdist(found.detach()).min() > 1e-4
    assert torch.allclose(d(images, labels)[1], d(images[1:2], labels[1:2])[0], atol=1e-6)


def d_step(d, real, fake):
    """Return gradients of the relativistic loss with R1 and R2 by parameter."""
    loss = relativistic_d_loss(d(real), d(fake)) + 2 * (
        penalties.r1(d, real) + penalties.r2(d, fake)
    )
    found = torch.autograd.grad(loss, list(d.parameters()))
    return {name: g for (name, _), g in zip(d.named_parameters(), found)}


def test_gradients_of_a_step_are_those_of_plain_pytorch_in_float64():
    # Blocks have 8 groups at 4×4, and 4 and 2 above.
    d = discriminator(16, channel_max=16)
    real, fake = images_for(4, 16), images_for(4, 16, seed=1)
    with ops.use_backend("cpu"):
        found = d_step(d, real, fake)
    with ops.use_backend("reference"):
        expected = d_step(d.double(), real.double(), fake.double())
    for name, want in expected.items():
        assert want.any(), name
        assert (found[name] - want).abs().max() < 2e-5 * want.abs().max(), name


def test_an_r1_step_runs_only_the_convolutions_of_its_maths():
    """R1 runs each layer forward, backward, and at most three times in the second derivative.

    That holds for lrelu, which has no curvature. Torch's derivative counts every group of the eight
    grouped layers.
    """
    d = discriminator(32, channel_base=1024, channel_max=32, blocks=1)
    layers = [m for m in d.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    counts = {}
    for backend in ("cpu", "reference"):
        with ConvolutionCalls() as calls, ops.use_backend(backend):
            torch.autograd.grad(
                penalties.r1(d, images_for(2, 32)), list(d.parameters()), allow_unused=True
            )
        counts[backend] = calls.count
    assert counts["cpu"] <= 5 * len(layers) < counts["reference"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: R3GANGenerator(12), "one of 8, 16.*got 12"),
        (
            lambda: R3GANGenerator(16, channel_base=8),
            "channel_base must be a whole number of at least 16, got 8",
        ),
        (
            lambda: R3GANDiscriminator(8, channel_max=9, group_size=4),
            "divide the 18 channels.*got 4",
        ),
    ],
)
def test_wrong_sizes_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
