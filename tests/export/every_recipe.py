"""Small untrained runs of every recipe, whose random weights are exported."""

from __future__ import annotations

import torch

from fastgan.data import InputSpec
from fastgan.recipes import RECIPES, ImageSpec, Recipe
from fastgan.recipes.growing import growing_parts
from fastgan.training.state import TrainState

NAMES = ("ball", "caf\udce9", "b\u00fcchse")  # one that isn't UTF-8
SMALL = {"z_dim": 4, "ngf": 4, "ndf": 4}
STYLED = {"z_dim": 8, "w_dim": 8, "channel_base": 256, "channel_max": 16, "mapping_layers": 2}
GROWING = {"channel_base": 64, "channel_max": 16, "group_size": 2}
BETWEEN = {"ngf": 4, "ndf": 4, "patch": 16}
PAIR = {"input": InputSpec("image", channels=1)}
OTHER = {"other": InputSpec("image", channels=3)}
ATTRIBUTES = {
    "attributes": InputSpec("attributes", names=("red", "blue", "striped"), groups=((0, 1),)),
}
MAP = {"map": InputSpec("map", names=("ground", "shape", "sky"))}
CAPTION = {"caption": InputSpec("caption", names=("", "a", "blue", "shape"), length=5)}

SETTINGS: dict[str, dict] = {
    "gan": {"z_dim": 4, "g_hidden": (8,), "d_hidden": (8,), "ema": 0.9},
    "dcgan": SMALL, "cgan": SMALL, "wgan": SMALL, "wgan-gp": SMALL, "lsgan": SMALL, "sngan": SMALL,
    "sagan": {"z_dim": 4, "ngf": 8, "ndf": 8},
    "biggan": {"z_dim": 12, "ngf": 8, "ndf": 8, "embedding_dim": 4},
    "progan": {"z_dim": 8, **GROWING},
    "stylegan": {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, **GROWING},
    "stylegan2": STYLED,
    "stylegan2-ada": STYLED,
    "stylegan3-t": {**STYLED, "num_layers": 3},
    "stylegan3-r": {**STYLED, "num_layers": 3},
    "r3gan": {"z_dim": 8, "channel_base": 128, "channel_max": 8, "blocks": 1, "group_size": 4},
    "lightgan": SMALL,
    "pix2pix": BETWEEN,
    "cyclegan": {**BETWEEN, "blocks": 1, "ema": 0.9},
    "unit": {**BETWEEN, "blocks": 1},
    "stargan": {"ngf": 4, "ndf": 4, "blocks": 1},
    "gaugan": {"ngf": 2, "ndf": 4, "hidden": 4, "patch": 16},
    "srgan": {"ngf": 4, "ndf": 4, "blocks": 1, "scale": 2},
    "colorize": BETWEEN,
    "inpaint": BETWEEN,
    "text2image": {"z_dim": 4, "ngf": 2, "ndf": 4, "text_dim": 8},
}  # fmt: skip
IMAGES = {
    "gan": ImageSpec(1, 8),
    **dict.fromkeys(("cgan", "sagan", "biggan"), ImageSpec(3, 16, 3, class_names=NAMES)),
    **dict.fromkeys(("stylegan2", "stylegan2-ada"), ImageSpec(3, 8)),
    "pix2pix": ImageSpec(3, 16, inputs=PAIR),
    **dict.fromkeys(("cyclegan", "unit"), ImageSpec(3, 16, inputs=OTHER)),
    "stargan": ImageSpec(3, 16, inputs=ATTRIBUTES),
    "gaugan": ImageSpec(3, 32, inputs=MAP),
    "srgan": ImageSpec(3, 32),
    "text2image": ImageSpec(3, 16, inputs=CAPTION),
}
VARIANTS: dict[str, tuple[str, dict, ImageSpec | None]] = {
    **{name: (name, {}, None) for name in RECIPES},
    "gan grey": ("gan", {}, ImageSpec(1, 12)),
    "gan with classes": ("gan", {"conditional": True}, ImageSpec(1, 8, 3)),
    "dcgan that compares": (
        "dcgan", {"minibatch_stddev": 3, "minibatch_discrimination": 4, "batch": 6},
        ImageSpec(3, 16),
    ),
    "dcgan with spectral norm": (
        "dcgan", {"spectral_norm": True, "d_norm": "layer"}, ImageSpec(3, 16),
    ),
    "sagan without classes": ("sagan", {"conditional": False}, ImageSpec(3, 16)),
    "progan with classes": (
        "progan", {"conditional": True}, ImageSpec(3, 16, 3, class_names=NAMES),
    ),
    "stylegan with classes": (
        "stylegan", {"conditional": True}, ImageSpec(3, 16, 3, class_names=NAMES),
    ),
    "stylegan2 with classes": (
        "stylegan2", {"conditional": True}, ImageSpec(3, 8, 3, class_names=NAMES),
    ),
    "stylegan3-t with classes": (
        "stylegan3-t", {"conditional": True}, ImageSpec(3, 16, 3, class_names=NAMES),
    ),
    "r3gan with classes": ("r3gan", {"conditional": True}, ImageSpec(3, 16, 3, class_names=NAMES)),
    "pix2pix with batch norm": ("pix2pix", {"norm": "batch", "batch": 2}, None),
    "pix2pix of single pixels": ("pix2pix", {"patch": 1, "dropout": 0.0, "norm": "none"}, None),
    "pix2pix of 48 pixels": ("pix2pix", {}, ImageSpec(3, 48, inputs=PAIR)),
    "unit with batch norm": ("unit", {"norm": "batch", "batch": 2}, None),
    "stargan with a skip": ("stargan", {"skip": True}, None),
    "gaugan at one scale": ("gaugan", {"scales": 1}, ImageSpec(3, 16, inputs=MAP)),
    "srgan by 4, residual": ("srgan", {"scale": 4, "residual": True}, None),
    "inpaint grey": ("inpaint", {}, ImageSpec(1, 16)),
    "text2image by means": ("text2image", {"encoder": "mean"}, None),
}  # fmt: skip
"""Recipes, and the same with other settings, by a name for the test."""


def build(variant: str) -> tuple[Recipe, ImageSpec]:
    """Return a small recipe and the images that it is built for."""
    name, more, images = VARIANTS[variant]
    recipe = RECIPES[name](**SETTINGS[name] | more)
    return recipe, images or IMAGES.get(name, ImageSpec(3, 16))


def varied(network):
    """Move parameters and buffers that start at 0 or 1, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("growth") or not tensor.is_floating_point():
                continue
            if tensor.numel() == 1 or (tensor == tensor.flatten()[0]).all():
                tensor.add_(torch.rand(tensor.shape, generator=generator) / 2)
    for part in growing_parts([network]):
        part.grow(len(part.resolutions) - 1.5)
    return network.eval().requires_grad_(False)


def state_of(variant: str) -> tuple[TrainState, ImageSpec]:
    """Return the state of a run of a variant, whose averaged networks differ from the others."""
    recipe, images = build(variant)
    state = TrainState.create(recipe, images)
    for network in state.networks.values():
        varied(network)
    with torch.no_grad():
        for average in (p for network in state.ema.values() for p in varied(network).parameters()):
            average.mul_(0.9)
    return state, images
