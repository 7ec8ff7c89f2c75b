"""Networks of StyleGAN2 (Karras et al. 2020).

Labels and mixed precision are those of Karras et al. 2020b.
"""

from fastgan.networks.stylegan2._sizes import RESOLUTIONS, channels_at
from fastgan.networks.stylegan2.discriminator import StyleGAN2Discriminator
from fastgan.networks.stylegan2.generator import StyleGAN2Generator, SynthesisNetwork
from fastgan.networks.stylegan2.mapping import MappingNetwork

__all__ = [
    "RESOLUTIONS",
    "MappingNetwork",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "SynthesisNetwork",
    "channels_at",
]
