"""D's certainty on one scale: 0 for a D that knows nothing, 1 for one that is never wrong."""

from __future__ import annotations

from math import log
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Number = TypeVar("Number", float, Tensor)


class LossScale(NamedTuple):
    """Scale of D's loss, in nats for cross-entropies.

    Labels r of real and f of generated images may be exchanged with probability p below 0.5. The
    mean label of real images is then r' = (1-p)·r + p·f, and f' of generated ones.

    Attributes:
        undecided: smallest loss of a D that gives all images the same logit.
        least: smallest loss of any D; above 0 with smoothed or flipped labels.
        even: logit, or probability, of the undecided D; None if any has the same loss.
    """

    undecided: float
    least: float
    even: float | None

    def certainty(self, loss: Number) -> Number:
        """Return 1 for a D that is never wrong, 0 for an undecided one, less for a worse one."""
        return (self.undecided - loss) / (self.undecided - self.least)


def cross_entropy_scale(real_label: float, fake_label: float, flipped: float) -> LossScale:
    """Return the scale of both cross-entropies together, at least H(r') + H(f')."""
    real = (1 - flipped) * real_label + flipped * fake_label
    fake = (1 - flipped) * fake_label + flipped * real_label
    even = (real + fake) / 2
    return LossScale(2 * _entropy(even), _entropy(real) + _entropy(fake), even)


def least_squares_scale(real_label: float, fake_label: float, flipped: float) -> LossScale:
    """Return the scale of ½·E[(D(x) - b)²] + ½·E[(D(G(z)) - a)²]."""
    squared = (real_label - fake_label) ** 2
    even = (real_label + fake_label) / 2
    return LossScale(squared / 4, squared * flipped * (1 - flipped), even)


def hinge_scale(real_label: float, fake_label: float, flipped: float) -> LossScale:
    """Return the scale of the hinge loss, which has no labels."""
    return LossScale(2.0, 4 * flipped, 0.0)


def relativistic_scale(real_label: float, fake_label: float, flipped: float) -> LossScale:
    """Return the scale of the loss of pairs, which has no labels."""
    return LossScale(log(2), _entropy(flipped), None)


def certainty_of_logits(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return D's certainty by its logits alone, for losses of any scale.

    It is the share of the logits' variance between real and generated images, R² = Δ² / (Δ² + 2·V).
    Δ is the difference of the means, and V the sum of both variances. It is negative if generated
    images have the higher mean. With two logits it is the sign of Δ.

    R² is the certainty by a least squares loss, of a D with the best scale and shift.

    Args:
        real_logits, fake_logits: D's logits, any shape, as many of both.

    Returns:
        Scalar in [-1, 1]; 0 if all logits are equal.
    """
    of_real, real = torch.var_mean(real_logits, correction=0)
    of_fake, fake = torch.var_mean(fake_logits, correction=0)
    gap = real - fake
    square = gap.square()
    tiny = torch.finfo(square.dtype).tiny
    return gap.sign() * square / (square + 2 * (of_real + of_fake)).clamp_min(tiny)


def _entropy(p: float) -> float:
    """Return the entropy of a coin in nats."""
    return -sum(q * log(q) for q in (p, 1 - p) if q > 0)
