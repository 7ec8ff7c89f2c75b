"""Certainty of D about real and generated images, on one scale for most losses."""

from __future__ import annotations

from math import log
from typing import NamedTuple

from fastgan.recipes import Recipe


class DLoss(NamedTuple):
    """Scale of D's loss, in nats for cross-entropies.

    Attributes:
        undecided: smallest loss of a D that gives all images the same logit.
        least: smallest loss of any D; above 0 with smoothed or flipped labels.
        even: logit, or probability, of the undecided D; None if any has the same loss.
    """

    undecided: float
    least: float
    even: float | None

    def certainty(self, loss: float) -> float:
        """Return 1 for a D that is never wrong, 0 for an undecided one, less for a worse one."""
        return (self.undecided - loss) / (self.undecided - self.least)


def d_loss_of(recipe: Recipe) -> DLoss | None:
    """Return the scale of a recipe's D loss; None for Wasserstein and for games of other kinds.

    Labels r of real and f of generated images are exchanged with probability p. The mean label of
    real images is then r' = (1-p)·r + p·f, and f' of generated ones. A cross-entropy is at least
    H(r') + H(f').
    """
    loss, p = getattr(recipe, "loss", None), getattr(recipe, "flip_labels", 0.0)
    # D learns nothing, or the opposite.
    if p >= 0.5:
        return None
    if loss in ("minimax", "non-saturating"):
        real, fake = _mean_labels(recipe, p)
        even = (real + fake) / 2
        return DLoss(2 * _entropy(even), _entropy(real) + _entropy(fake), even)
    if loss == "least-squares":
        real, fake = getattr(recipe, "real_label", 1.0), getattr(recipe, "fake_label", 0.0)
        squared = (real - fake) ** 2
        return DLoss(squared / 4, squared * p * (1 - p), (real + fake) / 2)
    if loss == "hinge":
        return DLoss(2.0, 4 * p, 0.0)
    if loss == "relativistic":
        return DLoss(log(2), _entropy(p), None)
    return None


def _mean_labels(recipe: Recipe, p: float) -> tuple[float, float]:
    real, fake = getattr(recipe, "real_label", 1.0), getattr(recipe, "fake_label", 0.0)
    return (1 - p) * real + p * fake, (1 - p) * fake + p * real


def _entropy(p: float) -> float:
    """Return the entropy of a coin in nats."""
    return -sum(q * log(q) for q in (p, 1 - p) if q > 0)
