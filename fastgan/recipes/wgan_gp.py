"""`wgan-gp`: Wasserstein GAN with a gradient penalty (Gulrajani et al. 2017, algorithm 1).

A step is `n_critic` updates of D, then one of G, with z ~ N(0, I) and α ~ U[0, 1]:

- D descends E[D(G(z))] - E[D(x)] + λ·E[(‖∇D(x̂)‖ - 1)²] at x̂ = α·x + (1 - α)·G(z) (eq. 3).
- G descends -E[D(G(z))].

The settings below are the algorithm's defaults. `fastgan.recipes.noise` takes the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.dcgan import DCGAN, Norm
from fastgan.recipes.noise import Adversarial, Penalty
from fastgan.recipes.presets import Preset, conv_width


@dataclass(frozen=True, kw_only=True)
class WGANGP(DCGAN):
    """Gulrajani 2017: penalty on the critic's gradient norm at interpolates; layer norm."""

    name: ClassVar[str] = "wgan-gp"
    summary: ClassVar[str] = (
        "Gulrajani 2017: a critic under a gradient penalty, on DCGAN's networks"
    )

    loss: Adversarial = "wasserstein"
    penalty: Penalty = "wgan-gp"
    n_critic: int = 5
    lr: float = 1e-4
    betas: tuple[float, float] = (0.0, 0.9)
    d_norm: Norm = "layer"

    @classmethod
    def small_preset(cls, resolution: int, total_images: int | None) -> Preset:
        width = conv_width(resolution)
        return Preset(
            60_000,
            {"ngf": width, "ndf": width, "batch": 16, "lr": 1e-3, "n_critic": 2, "ema": 0.99},
        )
