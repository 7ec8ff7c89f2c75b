"""Networks from images to images, and what judges them, a file per family."""

from fastgan.networks.translation.patchgan import MultiScaleDiscriminator, PatchDiscriminator
from fastgan.networks.translation.resnet import ResNetGenerator
from fastgan.networks.translation.unet import UNetGenerator

__all__ = ["MultiScaleDiscriminator", "PatchDiscriminator", "ResNetGenerator", "UNetGenerator"]
