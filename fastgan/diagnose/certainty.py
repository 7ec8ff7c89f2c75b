"""How sure D is of what's real, on one scale for all losses that have one."""

from __future__ import annotations

from math import log
from typing import NamedTuple

from fastgan.recipes import Recipe


class DLoss(NamedTuple):
    """What D's loss is (nats for cross-entropies) where it can tell nothing, and where it's never wrong.

    undecided: the loss of a D that says the same of all images, the best such. least: what no D goes below, above 0
    with labels that are smoothed or flipped. even: the logit, or probability, that the undecided D gives; None where
    any would do.
    """

    undecided: float
    least: float
    even: float | None

    def certainty(self, loss: float) -> float:
        """1 for a D that's never wrong, 0 for one that can tell nothing, negative for one that's worse than that."""
        return (self.undecided - loss) / (self.undecided - self.least)


def d_loss_of(recipe: Recipe) -> DLoss | None:
    """The scale of the recipe's D loss; None for Wasserstein, which has none, and for a game of another kind.

    With labels r and f and a share p of them exchanged, D hears r' = (1-p)·r + p·f of real images and f' of generated
    ones, on the mean. A cross-entropy is then at least H(r') + H(f').
    """
    loss, p = getattr(recipe, "loss", None), getattr(recipe, "flip_labels", 0.0)
    if p >= 0.5:  # D learns nothing, or the opposite
        return None
    if loss in ("minimax", "non-saturating"):
        real, fake = _heard(recipe, p)
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


def _heard(recipe: Recipe, p: float) -> tuple[float, float]:
    real, fake = getattr(recipe, "real_label", 1.0), getattr(recipe, "fake_label", 0.0)
    return (1 - p) * real + p * fake, (1 - p) * fake + p * real


def _entropy(p: float) -> float:
    """Of a coin, in nats."""
    return -sum(q * log(q) for q in (p, 1 - p) if q > 0)
