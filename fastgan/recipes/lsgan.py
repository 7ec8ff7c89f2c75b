"""`lsgan`: least squares GAN (Mao et al. 2017).

A step is one update of each player (eq. 2), with z ~ N(0, I):

- D descends ½·E[(D(x) - b)²] + ½·E[(D(G(z)) - a)²], where b is `real_label` and a `fake_label`.
- G descends ½·E[(D(G(z)) - c)²], where c is b.

`fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.dcgan import DCGAN
from fastgan.recipes.noise import Adversarial
from fastgan.recipes.presets import Preset, conv_width


@dataclass(frozen=True, kw_only=True)
class LSGAN(DCGAN):
    """Mao 2017: least squares with a = 0 and b = c = 1, on DCGAN's networks."""

    name: ClassVar[str] = "lsgan"
    summary: ClassVar[str] = "Mao 2017: least squares, on DCGAN's networks"

    loss: Adversarial = "least-squares"

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        width = conv_width(resolution)
        return Preset(
            60_000, {"ngf": width, "ndf": width, "batch": 32, "lr": 6e-4, "d_lr": 2e-4, "ema": 0.99}
        )
