"""`wgan`: Wasserstein GAN with clipped weights (Arjovsky, Chintala, Bottou 2017, algorithm 1).

A step is `n_critic` updates of D, then one of G, with z ~ N(0, I):

- D descends E[D(G(z))] - E[D(x)] (minus eq. 2). Its weights are then clipped to [-c, c].
- G descends -E[D(G(z))].

The settings below are the algorithm's defaults. `fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.dcgan import DCGAN
from fastgan.recipes.noise import Adversarial, Optimizing
from fastgan.recipes.presets import Preset, conv_width


@dataclass(frozen=True, kw_only=True)
class WGAN(DCGAN):
    """Arjovsky 2017: a critic with clipped weights, five updates of it per step, RMSprop."""

    name: ClassVar[str] = "wgan"
    summary: ClassVar[str] = "Arjovsky 2017: a critic with clipped weights, on DCGAN's networks"

    loss: Adversarial = "wasserstein"
    clip_weights: float = 0.01
    n_critic: int = 5
    optimizer: Optimizing = "rmsprop"
    lr: float = 5e-5

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        width = conv_width(resolution)
        return Preset(90_000, {"ngf": width, "ndf": width, "batch": 32, "lr": 2e-4, "n_critic": 3})
