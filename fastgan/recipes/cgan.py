"""`cgan`: conditional GAN, for images of a requested class (Mirza and Osindero 2014).

A step is one update of each player, with z ~ N(0, I) and labels y of the real images:

- D descends -E[log D(x, y)] - E[log(1 - D(G(z, y), y))] (eq. 2).
- G descends -E[log D(G(z, y), y)].

`fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.dcgan import DCGAN
from fastgan.recipes.presets import Preset, conv_width


@dataclass(frozen=True, kw_only=True)
class CGAN(DCGAN):
    """Mirza 2014 on DCGAN's networks: labels join z in G and the image in D."""

    name: ClassVar[str] = "cgan"
    summary: ClassVar[str] = "Mirza 2014: labels beside z and the image, on DCGAN's networks"

    conditional: bool = True

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        width = conv_width(resolution)
        return Preset(60_000, {"ngf": width, "ndf": width, "batch": 32, "lr": 4e-4, "ema": 0.995})
