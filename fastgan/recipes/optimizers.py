"""Optimisers of players: functions from parameters and the correction for lazy regularisers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.optim import Adam, Optimizer, RMSprop

OptimizerFactory = Callable[[list[nn.Parameter], float], Optimizer]
"""Function from parameters and `Player.lazy_correction` to a new optimiser."""

# Decay rate of RMSprop's mean of squared gradients.
RMSPROP_ALPHA = 0.99


def adam(lr: float, betas: tuple[float, float]) -> OptimizerFactory:
    """Return a factory of Adam with this rate and these decays, before the correction."""

    def build(parameters: list[nn.Parameter], correction: float) -> Optimizer:
        corrected = (betas[0] ** correction, betas[1] ** correction)
        return Adam(parameters, lr=lr * correction, betas=corrected)

    return build


def rmsprop(lr: float) -> OptimizerFactory:
    """Return a factory of RMSprop, which has no momentum, with this rate before the correction."""

    def build(parameters: list[nn.Parameter], correction: float) -> Optimizer:
        return RMSprop(parameters, lr=lr * correction, alpha=RMSPROP_ALPHA**correction)

    return build
