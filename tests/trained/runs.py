"""Small runs with random weights, one for each way to use a recipe."""

from __future__ import annotations

from pathlib import Path

import torch

from fastgan.data import InputSpec
from fastgan.recipes import ImageSpec, get_recipe
from fastgan.training import RunSettings
from fastgan.training.checkpoint import save_checkpoint
from fastgan.training.config import RunConfig
from fastgan.training.state import TrainState

CLASSES = ("cat", "dog", "horse")
BETWEEN = {"ngf": 2, "ndf": 2, "patch": 16}
STYLED = {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_layers": 2}
ATTRIBUTES = InputSpec("attributes", names=("red", "blue", "striped"), groups=((0, 1),))
WORDS = InputSpec("caption", names=("", "a", "blue", "circle"), length=4)

RUNS = {
    "gan": ({"z_dim": 4, "g_hidden": (8,), "d_hidden": (8,)}, ImageSpec(1, 8)),
    "cgan": (
        {"z_dim": 4, "ngf": 4, "ndf": 4, "ema": 0.9},
        ImageSpec(3, 16, 3, class_names=CLASSES),
    ),
    "stylegan2": (
        {**STYLED, "conditional": True},
        ImageSpec(3, 8, 3, class_names=CLASSES),
    ),
    "stylegan3-r": ({**STYLED, "num_layers": 3}, ImageSpec(3, 16)),
    "pix2pix": (BETWEEN, ImageSpec(3, 16, inputs={"input": InputSpec("image", channels=3)})),
    "cyclegan": (
        {**BETWEEN, "blocks": 0},
        ImageSpec(3, 16, inputs={"other": InputSpec("image", channels=3)}),
    ),
    "stargan": (
        {"ngf": 2, "ndf": 2, "blocks": 0},
        ImageSpec(3, 16, inputs={"attributes": ATTRIBUTES}),
    ),
    "gaugan": (
        {"ngf": 1, "ndf": 2, "hidden": 2, "patch": 16, "scales": 1},
        ImageSpec(3, 16, inputs={"map": InputSpec("map", names=("sky", "sea", "sand"))}),
    ),
    "inpaint": (BETWEEN, ImageSpec(3, 16)),
    "srgan": (
        {"ngf": 2, "ndf": 2, "blocks": 1, "scale": 2},
        ImageSpec(3, 32),
    ),
    "text2image": (
        {"z_dim": 4, "ngf": 2, "ndf": 4, "text_dim": 8},
        ImageSpec(3, 16, inputs={"caption": WORDS}),
    ),
}


def save_run(folder: Path, recipe: str, **settings) -> Path:
    """Write a run with random weights into a folder; averages differ from the trained weights."""
    own, images = RUNS[recipe]
    made = get_recipe(recipe)(**{**own, **settings})
    state = TrainState.create(made, images)
    generator = torch.Generator().manual_seed(0)
    for network in state.ema.values():
        for parameter in network.parameters():
            parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
    config = RunConfig(made, RunSettings.of(made), images, "none", "0")
    save_checkpoint(folder / "checkpoints", config, state, keep=1)
    return folder
