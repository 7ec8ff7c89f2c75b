"""`wgan-gp`: Wasserstein GAN with a gradient penalty (Gulrajani et al. 2017, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastgan.recipes.dcgan import DCGAN, Norm
from fastgan.recipes.noise import Adversarial, Penalty


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
