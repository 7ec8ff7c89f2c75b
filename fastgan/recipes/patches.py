"""Patch sizes of PatchGAN discriminators."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

from torch import nn

from fastgan.networks.translation import min_image_size
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.signature import Port, Sizes

Patch = Literal[1, 16, 34, 70, 142, 286]
# Pixels that a logit sees in the papers.
USUAL = 70


def patch_size(name: str, patch: Patch | None, images: ImageSpec, scales: int = 1) -> int:
    """Return the pixels that a logit of D sees.

    Args:
        name: name of the recipe, for the error.
        patch: requested size. None takes 70, or the largest below it that the images allow.
        images: images that D sees.
        scales: number of discriminators, each for images of half the size of the one before.

    Raises:
        RecipeError: the images are too small.
    """
    sizes = [size for size in get_args(Patch) if size <= USUAL] if patch is None else [patch]
    least = {size: min_image_size(size) << (scales - 1) for size in sizes}
    for size in reversed(sizes):
        if least[size] <= images.resolution:
            return size
    at_scales = f" at {scales} scales" if scales > 1 else ""
    fewer = ", fewer `scales`" if scales > 1 else ""
    raise RecipeError.of(
        "resolution",
        f"at least {least[sizes[0]]} for patches of {sizes[0]} pixels{at_scales} in {name}",
        images.resolution,
        f"choose a smaller `patch`{fewer} or a higher `resolution`",
    )


def discriminator_sizes(network: nn.Module) -> Sizes:
    """Return the image sizes that a PatchGAN takes."""
    return Sizes(min_size=int(cast(Any, network).min_size))


def patch_logits(name: str = "logits") -> Port:
    """Return the port of a PatchGAN's logits."""
    return Port(
        name, (1, "rows", "columns"), "a logit for each patch, higher where it looks real", "real"
    )
