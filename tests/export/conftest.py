"""Small runs of every recipe, of which nothing is trained: what is exported are weights, whatever they are."""

from __future__ import annotations

import pytest
import torch

from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.recipes import CGAN, DCGAN, GAN, ImageSpec, StyleGAN2
from fastgan.train.checkpoint import save_checkpoint
from fastgan.train.config import RunConfig
from fastgan.train.state import TrainState

STYLED = {"z_dim": 8, "w_dim": 8, "channel_base": 256, "channel_max": 32, "mapping_layers": 2}
RECIPES = {
    "gan": (GAN(resolution=8, z_dim=4, g_hidden=(8,), d_hidden=(8,), ema=0.9), ImageSpec(1, 8)),
    "dcgan": (DCGAN(z_dim=4, ngf=4, ndf=4), ImageSpec(3, 16)),
    "cgan": (CGAN(z_dim=4, ngf=4, ndf=4), ImageSpec(3, 16, num_classes=3)),
    "stylegan2": (StyleGAN2(**STYLED, data="/somewhere/private"), ImageSpec(3, 8)),
}


def varied(network):
    """The network with every parameter and buffer that starts at 0 or 1 somewhere else, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and (tensor.numel() == 1 or (tensor == tensor.flatten()[0]).all()):
                tensor.add_(torch.rand(tensor.shape, generator=generator) / 2)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def run_of(tmp_path_factory):
    """`run_of(recipe)`: the folder of a run of that recipe, and its state."""
    made = {}

    def make(name):
        if name not in made:
            recipe, images = RECIPES[name]
            state = TrainState.create(recipe, images)
            for network in state.networks.values():
                varied(network)
            with torch.no_grad():
                for average in (p for network in state.ema.values() for p in varied(network).parameters()):
                    average.mul_(0.9)  # another network than the one averaged
            folder = tmp_path_factory.mktemp(name)
            save_checkpoint(folder / "checkpoints", RunConfig(recipe, images, "none", "0"), state, keep=1)
            made[name] = folder, state
        return made[name]

    return make


@pytest.fixture(scope="session")
def styled():
    """A StyleGAN2 with classes whose noise and mean of w aren't zero."""
    torch.manual_seed(0)
    return varied(StyleGAN2Generator(8, 3, c_dim=3, **STYLED))


@pytest.fixture
def normal():
    """`normal(*shape)`: other numbers than the examples that exporting checks with."""
    generator = torch.Generator().manual_seed(7)
    return lambda *shape: torch.randn(shape, generator=generator)
