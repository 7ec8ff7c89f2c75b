"""Every translation network learns, compiles and runs under autocast."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils._pytree import tree_leaves

from fastgan.networks.translation import (
    CycleGANGenerator,
    MultiScaleDiscriminator,
    PatchDiscriminator,
    RRDBNet,
    SPADEGenerator,
    SRGANDiscriminator,
    SRResNet,
    StarGANDiscriminator,
    StarGANGenerator,
    TextDiscriminator,
    TextGenerator,
    UNetGenerator,
    UNITGenerator,
)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


MAP = F.one_hot(torch.arange(2 * 16 * 16).reshape(2, 16, 16) // 5 % 3, 3).movedim(3, 1).float()
CAPTIONS = torch.tensor([[1, 2, 3], [4, 1, 0]])

SMALL = {
    "unet": (lambda: UNetGenerator(3, 2, resolution=8, ngf=2), (draw(2, 3, 8, 16),)),
    "cyclegan": (lambda: CycleGANGenerator(3, 2, ngf=2, blocks=1), (draw(2, 3, 8, 12),)),
    "patch": (
        lambda: PatchDiscriminator(2, label_channels=3, patch=16, ndf=2, norm="batch"),
        (draw(2, 2, 8, 8), draw(2, 3, 8, 8)),
    ),
    "pixel": (lambda: PatchDiscriminator(1, patch=1, ndf=2), (draw(2, 1, 4, 4),)),
    "scales": (
        lambda: MultiScaleDiscriminator(3, scales=2, patch=16, ndf=2),
        (draw(2, 3, 12, 12),),
    ),
    # Instance norm over four pixels amplifies the rounding of bfloat16.
    "unit": (lambda: UNITGenerator(1, ngf=2, blocks=1, norm="batch"), (draw(2, 1, 8, 8), 0, 1)),
    "stargan-g": (
        lambda: StarGANGenerator(1, c_dim=2, ngf=2, blocks=1),
        (draw(2, 1, 8, 8), draw(2, 2)),
    ),
    "stargan-d": (lambda: StarGANDiscriminator(8, 1, c_dim=2, ndf=2), (draw(2, 1, 8, 8),)),
    "spade": (lambda: SPADEGenerator(3, 1, resolution=16, ngf=1, hidden=2), (MAP,)),
    "spade-z": (
        lambda: SPADEGenerator(3, 1, resolution=16, z_dim=4, ngf=1, hidden=2),
        (MAP, draw(2, 4)),
    ),
    "srresnet": (lambda: SRResNet(1, scale=2, blocks=1, ngf=2), (draw(2, 1, 4, 5),)),
    "rrdb": (lambda: RRDBNet(1, scale=2, blocks=1, ngf=2, growth=2), (draw(2, 1, 4, 5),)),
    "srgan-d": (lambda: SRGANDiscriminator(32, 1, ndf=2), (draw(2, 1, 32, 32),)),
    "text-g": (lambda: TextGenerator(5, 16, 1, z_dim=3, text_dim=4, ngf=2), (draw(2, 3), CAPTIONS)),
    "text-d": (
        lambda: TextDiscriminator(5, 16, 1, text_dim=4, ndf=2),
        (draw(2, 1, 16, 16), CAPTIONS),
    ),
}
"""Constructor and inputs of a small network by name."""


def tensors(output):
    """Return all tensors of an output."""
    return tree_leaves(output)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_in_use_learns(name):
    """UNIT uses the encoder of one domain and the decoder of another."""
    make, inputs = SMALL[name]
    torch.manual_seed(0)
    network = make()
    sum((t * draw(*t.shape, seed=1)).sum() for t in tensors(network(*inputs))).backward()
    idle = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    elsewhere = ("encoders.1", "decoders.0") if name == "unit" else ("nowhere",)
    assert all(n.startswith(elsewhere) for n in idle), idle


DIFFERENT = ("unet", "scales", "unit", "stargan-d", "spade-z", "srresnet", "text-g")
"""Networks that together have every layer."""


@pytest.mark.backends
@pytest.mark.parametrize(
    "name",
    [name if name in DIFFERENT else pytest.param(name, marks=pytest.mark.long) for name in SMALL],
)
def test_compiled_in_one_graph(name):
    make, inputs = SMALL[name]
    torch.manual_seed(0)
    network = make().eval()
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    for a, b in zip(tensors(compiled(*inputs)), tensors(network(*inputs))):
        torch.testing.assert_close(a, b)
    torch.compiler.reset()


@pytest.mark.parametrize("name", SMALL)
def test_under_autocast(name):
    make, inputs = SMALL[name]
    torch.manual_seed(0)
    network = make().eval()
    expected = tensors(network(*inputs))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = tensors(network(*inputs))
    for a, b in zip(found, expected):
        assert (a - b).abs().max() < 0.05 * max(b.abs().max(), 1)
    # The last sum of text-d is float32.
    if name != "text-d":
        assert found[-1].dtype == torch.bfloat16
