"""Recipes: one file per named GAN, with its networks, losses, optimisers and data."""

from __future__ import annotations

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
from fastgan.recipes.lightgan import LightGAN
from fastgan.recipes.lsgan import LSGAN
from fastgan.recipes.pix2pix import Pix2Pix
from fastgan.recipes.players import Batch, DrawRequest, Loss, Networks, Player, Regularizer
from fastgan.recipes.progan import ProGAN
from fastgan.recipes.r3gan import R3GAN
from fastgan.recipes.registry import RECIPES, get_recipe, import_recipe
from fastgan.recipes.sagan import SAGAN
from fastgan.recipes.sngan import SNGAN
from fastgan.recipes.srgan import SRGAN
from fastgan.recipes.stargan import StarGAN
from fastgan.recipes.stylegan import StyleGAN
from fastgan.recipes.stylegan2 import StyleGAN2, StyleGAN2ADA
from fastgan.recipes.stylegan3 import StyleGAN3R, StyleGAN3T
from fastgan.recipes.text2image import Text2Image
from fastgan.recipes.unit import UNIT
from fastgan.recipes.wgan import WGAN
from fastgan.recipes.wgan_gp import WGANGP

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
    "LightGAN",
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
    "StyleGAN3R",
    "StyleGAN3T",
    "Text2Image",
    "get_recipe",
    "import_recipe",
]
