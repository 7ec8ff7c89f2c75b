"""Networks from images, maps, attributes or captions to images, and their discriminators.

Each family has a file.
"""

from fastgan.networks.translation.cyclegan import CycleGANGenerator
from fastgan.networks.translation.patchgan import (
    MultiScaleDiscriminator,
    PatchDiscriminator,
    min_image_size,
)
from fastgan.networks.translation.spade import SPADEGenerator, one_hot_map
from fastgan.networks.translation.stargan import StarGANDiscriminator, StarGANGenerator
from fastgan.networks.translation.super_resolution import RRDBNet, SRGANDiscriminator, SRResNet
from fastgan.networks.translation.text import TextDiscriminator, TextEncoder, TextGenerator
from fastgan.networks.translation.unet import UNetGenerator
from fastgan.networks.translation.unit import UNITGenerator

__all__ = [
    "CycleGANGenerator",
    "MultiScaleDiscriminator",
    "PatchDiscriminator",
    "RRDBNet",
    "SPADEGenerator",
    "SRGANDiscriminator",
    "SRResNet",
    "StarGANDiscriminator",
    "StarGANGenerator",
    "TextDiscriminator",
    "TextEncoder",
    "TextGenerator",
    "UNITGenerator",
    "UNetGenerator",
    "min_image_size",
    "one_hot_map",
]
