"""Residual networks of SNGAN, SAGAN and BigGAN.

Miyato et al. 2018, Zhang et al. 2019 and Brock et al. 2019.
"""

from fastgan.networks.resnet.biggan import BigGANGenerator, init_orthogonal
from fastgan.networks.resnet.discriminator import ResNetDiscriminator
from fastgan.networks.resnet.generator import ResNetGenerator
from fastgan.networks.resnet.widths import RESOLUTIONS, attention_resolutions

__all__ = [
    "RESOLUTIONS",
    "BigGANGenerator",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "attention_resolutions",
    "init_orthogonal",
]
