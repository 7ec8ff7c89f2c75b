"""Optimisers of players: functions from parameters and the correction for lazy regularisers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.optim import Adam, Optimizer, RMSprop

OptimizerFactory = Callable[[list[nn.Parameter], float], Optimizer]
"""Function from parameters and `Player.lazy_correction` to a new optimiser."""

# Decay rate of RMSprop's mean of squared gradients.
RMSPROP_ALPHA = 0.99


def on_gpu(parameters: list[nn.Parameter]) -> bool:
    """Return True if the parameters are on a GPU."""
    return parameters[0].device.type == "cuda"


def adam(lr: float, betas: tuple[float, float]) -> OptimizerFactory:
    """Return a factory of Adam with this rate and these decays, before the correction.

    On a GPU it is fused: one launch steps all parameters.
    """

    def build(parameters: list[nn.Parameter], correction: float) -> Optimizer:
        corrected = (betas[0] ** correction, betas[1] ** correction)
        fused = True if on_gpu(parameters) else None
        return Adam(
            parameters, lr=lr * correction, betas=corrected, fused=fused, capturable=bool(fused)
        )

    return build


def rmsprop(lr: float) -> OptimizerFactory:
    """Return a factory of RMSprop, which has no momentum, with this rate before the correction."""

    def build(parameters: list[nn.Parameter], correction: float) -> Optimizer:
        alpha = RMSPROP_ALPHA**correction
        # Capturable means that its whole state is on the GPU.
        return RMSprop(parameters, lr=lr * correction, alpha=alpha, capturable=on_gpu(parameters))

    return build
