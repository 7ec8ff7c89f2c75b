"""`progan`: progressive growing (Karras et al. 2018).

A step is one update of each player, with z ~ N(0, I), of which the direction alone counts, and
α ~ U[0, 1]:

- D descends E[D(G(z))] - E[D(x)] + λ·E[(‖∇D(x̂)‖ - 1)²] + ε·E[D(x)²] at x̂ = α·x + (1 - α)·G(z)
  (appendix A.1).
- G descends -E[D(G(z))].

Both start at 4×4 and grow together (section 2). A new resolution fades in over `fade_kimg` thousand
images, in G, in D and in the real images, and is then trained for `stable_kimg`.

D compares the images of a batch (section 3). Weights have equalised rates (section 4.1), and G
normalises pixels (section 4.2). `fastgan.recipes.noise` takes the step, and
`fastgan.recipes.growing` has the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from fastgan.networks.progan import ProGANDiscriminator, ProGANGenerator
from fastgan.recipes.growing import Growing, at_lowest_resolution
from fastgan.recipes.image_spec import ImageSpec
from fastgan.recipes.noise import Adversarial, Penalty
from fastgan.recipes.presets import Preset, narrow


@dataclass(frozen=True, kw_only=True)
class ProGAN(Growing):
    """Karras 2018: growth from 4×4, equalised learning rates, minibatch stddev, drift, WGAN-GP."""

    name: ClassVar[str] = "progan"
    summary: ClassVar[str] = "Karras 2018: grows from 4×4 to the images' resolution, WGAN-GP"
    default_images: ClassVar[int] = 12_000_000

    loss: Adversarial = "wasserstein"
    penalty: Penalty = "wgan-gp"
    drift: float = 0.001

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        settings = {
            **narrow(resolution),
            "z_dim": 64,
            "batch": 16,
            "stable_kimg": 2.0,
            "fade_kimg": 4.0,
            "lr": 2e-3,
            "ema": 0.99,
        }
        return Preset(60_000, settings)

    def build_networks(self, images: ImageSpec) -> dict[str, nn.Module]:
        g = ProGANGenerator(
            images.resolution, images.channels, z_dim=self.z_dim, c_dim=self.classes(images),
            channel_base=self.channel_base, channel_max=self.channel_max,
        )  # fmt: skip
        d = ProGANDiscriminator(
            images.resolution, images.channels, c_dim=self.classes(images),
            group_size=self.group_size, channel_base=self.channel_base,
            channel_max=self.channel_max,
        )  # fmt: skip
        return {
            "G": at_lowest_resolution(g),
            "D": at_lowest_resolution(d),
            **self.extras(images),
        }
