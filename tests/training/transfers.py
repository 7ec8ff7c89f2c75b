"""Tiny recipes, and networks with changed weights in all places, as sources of transfers."""

from __future__ import annotations

import torch

from fastgan.data import InputSpec
from fastgan.recipes import RECIPES, ImageSpec
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState

GAN = {"z_dim": 4, "g_hidden": (8,), "d_hidden": (8,), "batch": 4}
WIDE = {"z_dim": 4, "ngf": 4, "ndf": 4, "batch": 4}
RESIDUAL = {"z_dim": 4, "ngf": 8, "ndf": 8, "batch": 4}
STYLED = {
    "z_dim": 4,
    "w_dim": 4,
    "mapping_layers": 2,
    "channel_base": 64,
    "channel_max": 8,
    "batch": 4,
}
GROWING = {"z_dim": 4, "channel_base": 64, "channel_max": 8, "batch": 4, "group_size": 4}
PAIRED = {"ngf": 4, "ndf": 4, "batch": 4, "patch": 16}
SMALL = {
    "gan": GAN,
    "dcgan": WIDE,
    "cgan": WIDE,
    "lsgan": WIDE,
    "sngan": RESIDUAL,
    "sagan": RESIDUAL,
    "biggan": {**RESIDUAL, "z_dim": 20, "embedding_dim": 4},
    "progan": GROWING,
    "stylegan": {**GROWING, "w_dim": 4, "mapping_layers": 2},
    "stylegan2": STYLED,
    "stylegan2-ada": STYLED,
    "stylegan3-t": {**STYLED, "num_layers": 3},
    "stylegan3-r": {**STYLED, "num_layers": 3},
    "r3gan": {
        "z_dim": 4,
        "channel_base": 256,
        "channel_max": 16,
        "blocks": 1,
        "group_size": 8,
        "batch": 4,
    },
    "pix2pix": PAIRED,
    "cyclegan": {**PAIRED, "blocks": 1},
    "stargan": {"ngf": 4, "ndf": 4, "blocks": 1, "batch": 4},
    "gaugan": {"ngf": 4, "ndf": 4, "hidden": 4, "batch": 4, "scales": 1, "patch": 16},
    "text2image": {"z_dim": 4, "text_dim": 4, "ngf": 4, "ndf": 4, "batch": 4},
}
"""Settings of tiny networks, by recipe."""


def small(name, **settings):
    """Return a tiny recipe."""
    return RECIPES[name](**{**SMALL[name], **settings})


def spec(name, channels=1, resolution=16, classes=0, names=("", "red", "blue")):
    """Return the description of a recipe's images."""
    inputs = {
        None: {},
        "pairs": {"input": InputSpec("image", channels=channels)},
        "domains": {"other": InputSpec("image", channels=channels)},
        "maps": {"map": InputSpec("map", names=names)},
        "attributes": {"attributes": InputSpec("attributes", names=names)},
        "captions": {"caption": InputSpec("caption", names=names, length=4)},
    }[RECIPES[name].task]
    return ImageSpec(channels, resolution, classes, inputs)


def trained(recipe, images, seed=1):
    """Return a state with all tensors changed, whose averages differ from its networks."""
    state = TrainState.create(recipe, images)
    generator = torch.Generator().manual_seed(seed)
    for network in (*state.networks.values(), *state.ema.values()):
        for key, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not key.endswith(("growth", "._u", "._v")):
                tensor.mul_(1 + 0.1 * torch.rand(tensor.shape, generator=generator))
                if not key.endswith("running_var"):
                    tensor.add_(0.02 * torch.randn(tensor.shape, generator=generator))
    state.nimg, state.step = 400, 100
    return state


def save(folder, state, images, name="data"):
    """Write a run's folder with one checkpoint of the state."""
    config = RunConfig(state.recipe, RunSettings.of(state.recipe), images, name, "0" * 64)
    save_checkpoint(folder / "checkpoints", config, state, keep=3)
    return folder
