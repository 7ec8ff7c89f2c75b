"""Generator of StyleGAN3, configurations T and R (Karras et al. 2021).

Its mapping network and its discriminator are StyleGAN2's.
"""

from fastgan.networks.stylegan3.generator import StyleGAN3Generator
from fastgan.networks.stylegan3.schedule import LayerPlan, plan_layers
from fastgan.networks.stylegan3.synthesis import StyleGAN3Synthesis

__all__ = ["LayerPlan", "StyleGAN3Generator", "StyleGAN3Synthesis", "plan_layers"]
