"""Recipes: one file per named GAN, with its networks, losses, optimisers and data."""

from __future__ import annotations

import difflib

from fastgan.recipes.base import Recipe
from fastgan.recipes.biggan import BigGAN
from fastgan.recipes.cgan import CGAN
from fastgan.recipes.colorize import Colorize
from fastgan.recipes.cyclegan import CycleGAN
from fastgan.recipes.dcgan import DCGAN
from fastgan.recipes.errors import RecipeError
from fastgan.recipes.gan import GAN
from fastgan.recipes.gaugan import GauGAN
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.inpaint import Inpaint
from fastgan.recipes.lsgan import LSGAN
from fastgan.recipes.pix2pix import Pix2Pix
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player, Regularizer
from fastgan.recipes.progan import ProGAN
from fastgan.recipes.r3gan import R3GAN
from fastgan.recipes.sagan import SAGAN
from fastgan.recipes.sngan import SNGAN
from fastgan.recipes.srgan import SRGAN
from fastgan.recipes.stargan import StarGAN
from fastgan.recipes.stylegan import StyleGAN
from fastgan.recipes.stylegan2 import StyleGAN2, StyleGAN2ADA
from fastgan.recipes.text2image import Text2Image
from fastgan.recipes.unit import UNIT
from fastgan.recipes.wgan import WGAN
from fastgan.recipes.wgan_gp import WGANGP

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        GAN,
        DCGAN,
        CGAN,
        WGAN,
        WGANGP,
        LSGAN,
        SNGAN,
        SAGAN,
        BigGAN,
        ProGAN,
        StyleGAN,
        StyleGAN2,
        StyleGAN2ADA,
        R3GAN,
        Pix2Pix,
        CycleGAN,
        UNIT,
        StarGAN,
        GauGAN,
        SRGAN,
        Colorize,
        Inpaint,
        Text2Image,
    )
}
"""Every recipe by its name on the command line."""


def get_recipe(name: str) -> type[Recipe]:
    """Return the recipe of this name.

    Raises:
        RecipeError: there is none; the message suggests the nearest name.
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name.lower(), RECIPES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise RecipeError(f"Unknown recipe {name!r}: {hint}The recipes are {', '.join(RECIPES)}.")


__all__ = [
    "CGAN",
    "DCGAN",
    "GAN",
    "LSGAN",
    "R3GAN",
    "RECIPES",
    "SAGAN",
    "SNGAN",
    "SRGAN",
    "UNIT",
    "WGAN",
    "WGANGP",
    "Batch",
    "BigGAN",
    "Colorize",
    "CycleGAN",
    "DrawRequest",
    "GauGAN",
    "ImageSpec",
    "Inpaint",
    "Loss",
    "Networks",
    "Pix2Pix",
    "Player",
    "ProGAN",
    "Recipe",
    "RecipeError",
    "Regularizer",
    "StarGAN",
    "StyleGAN",
    "StyleGAN2",
    "StyleGAN2ADA",
    "Text2Image",
    "get_recipe",
]
