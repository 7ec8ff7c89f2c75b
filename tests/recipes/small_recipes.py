"""Every recipe with the smallest networks it can have, and data for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fastgan.data import ImageDataset, to_batch, to_float
from fastgan.recipes import RECIPES, Batch, ImageSpec, Recipe
from fastgan.recipes.players import DrawRequest
from fastgan.training.distributed import World
from fastgan.training.rows import move_rows
from fastgan.training.run_settings import RunSettings
from fastgan.training.state import TrainState
from fastgan.training.step import TrainStep

CONVOLUTIONAL = {"z_dim": 4, "ngf": 2, "ndf": 2}
RESIDUAL = {"z_dim": 3, "ngf": 1, "ndf": 1}
STYLED = {"z_dim": 4, "w_dim": 4, "channel_base": 64, "channel_max": 4, "mapping_layers": 1}
ALIAS_FREE = {**STYLED, "num_layers": 3}
GROWING = {"z_dim": 4, "channel_base": 64, "channel_max": 4, "stable_kimg": 0.0, "fade_kimg": 0.001}
PATCHES = {"ngf": 2, "ndf": 2, "patch": 16}
SMALL: dict[str, dict[str, Any]] = {
    "gan": {"z_dim": 4, "g_hidden": (8,), "d_hidden": (8,)},
    **dict.fromkeys(("dcgan", "cgan", "wgan", "wgan-gp", "lsgan"), CONVOLUTIONAL),
    **dict.fromkeys(("sngan", "sagan", "biggan"), RESIDUAL),
    "progan": GROWING,
    "stylegan": {**GROWING, "w_dim": 4, "mapping_layers": 1},
    **dict.fromkeys(("stylegan2", "stylegan2-ada"), STYLED),
    **dict.fromkeys(("stylegan3-t", "stylegan3-r"), ALIAS_FREE),
    "r3gan": {"z_dim": 4, "channel_base": 64, "channel_max": 4, "group_size": 4, "blocks": 1},
    "lightgan": CONVOLUTIONAL,
    "pix2pix": PATCHES,
    "colorize": PATCHES,
    "inpaint": PATCHES,
    "cyclegan": {**PATCHES, "blocks": 1},
    "unit": {**PATCHES, "blocks": 0},
    "stargan": {"ngf": 2, "ndf": 2, "blocks": 1},
    "gaugan": {"ngf": 1, "ndf": 2, "hidden": 4, "patch": 16, "scales": 1},
    "srgan": {"ngf": 4, "ndf": 2, "blocks": 1, "pretrain": 1},
    "text2image": {**CONVOLUTIONAL, "text_dim": 4},
}
"""Settings by the recipe's name."""


def small(name: str, **settings: Any) -> Recipe:
    """Return a recipe with small networks."""
    return RECIPES[name](**{**SMALL[name], **settings})


def data_of(recipe: Recipe, **settings: Any) -> ImageDataset:
    """Return the data set of a run, by default the recipe's own."""
    return RunSettings.of(recipe, **settings).open_data(recipe)


def small_data(recipe: Recipe) -> ImageDataset:
    """Return shapes of 16×16 pixels, or of the least resolution that the recipe takes."""
    return data_of(recipe, data="shapes", resolution=32 if recipe.name == "srgan" else 16)


def examples(dataset: ImageDataset, count: int, start: int = 0) -> Batch:
    """Return a batch of images of a data set."""
    images, labels, inputs = dataset.examples(torch.arange(start, start + count))
    return Batch(to_float(images), labels, inputs=to_batch(inputs, dataset.inputs))


def take_steps(recipe: Recipe, count: int) -> list[dict[str, Tensor]]:
    """Return the statistics of the first steps of a run on shapes."""
    dataset = small_data(recipe)
    recipe.check_images(ImageSpec.of(dataset))
    step = TrainStep(TrainState.create(recipe, ImageSpec.of(dataset)))
    stats = []
    for number in range(count):
        batches = [
            examples(dataset, recipe.batch, (number * step.batches + i) * recipe.batch)
            for i in range(step.batches)
        ]
        stats.append(step(batches))
    return stats


def meta_gradients(recipe: Recipe, dataset: ImageDataset) -> list[str]:
    """Compute the gradients of each player's first update on the meta device.

    That checks shapes, without values. Return the names of all statistics.
    """
    images = ImageSpec.of(dataset)
    recipe.check_images(images)
    with torch.device("meta"):
        state = TrainState.create(recipe, images, device="meta")
    step = TrainStep(state, world=World(torch.device("meta")))
    example = examples(dataset, 1)
    batch = Batch(
        example.real.to("meta").expand(recipe.batch, -1, -1, -1),
        example.labels.to("meta").expand(recipe.batch),
        inputs={
            name: value.to("meta").expand(recipe.batch, *value.shape[1:])
            for name, value in example.inputs.items()
        },
    )
    batch = recipe.batch_type.of(batch)
    (batch,) = recipe.before_step(state.networks, state.ema, 0, [batch])
    generator, names = state.reseed(), []
    for player in step.players:
        for name, network in state.networks.items():
            network.requires_grad_(name in player.networks)
        for update in (step._updates[player.name], *(lazy for _, lazy in step._lazy[player.name])):
            request = DrawRequest(
                recipe.batch, 0, generator, state.networks, tuple(batch.real.shape[1:])
            )
            (drawn,) = move_rows([update.draw(request)], torch.device("meta"))
            gradients, stats, outputs = update.gradients(
                replace(batch, **drawn), torch.ones((), device="meta")
            )
            assert any(gradient is not None for gradient in gradients)
            for parameter, gradient in zip(update.parameters, gradients):
                assert gradient is None or gradient.stride() == parameter.stride()
            batch = replace(batch, **outputs)
            names += stats
    return names
