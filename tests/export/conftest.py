"""Small untrained runs of every recipe, whose random weights are exported."""

from __future__ import annotations

import pytest
import torch

from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from tests.export.every_recipe import STYLED, state_of, varied


@pytest.fixture(scope="session")
def run_of(tmp_path_factory):
    """Return `run_of(variant)`: folder and state of a run of `every_recipe.VARIANTS`."""
    made = {}

    def make(variant):
        if variant not in made:
            state, images = state_of(variant)
            folder = tmp_path_factory.mktemp(variant)
            save_checkpoint(
                folder / "checkpoints",
                RunConfig(
                    state.recipe,
                    RunSettings.of(state.recipe, data="/somewhere/private"),
                    images,
                    "none",
                    "0",
                ),
                state,
                keep=1,
            )
            made[variant] = folder, state
        return made[variant]

    return make


@pytest.fixture(scope="session")
def styled():
    """A StyleGAN2 with classes whose noise and mean of w aren't zero."""
    torch.manual_seed(0)
    return varied(StyleGAN2Generator(8, 3, c_dim=3, **STYLED))


@pytest.fixture
def normal():
    """Return `normal(*shape)`: other numbers than the examples that exports are checked with."""
    generator = torch.Generator().manual_seed(7)
    return lambda *shape: torch.randn(shape, generator=generator)
