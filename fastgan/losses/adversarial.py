"""Adversarial losses on logits.

`real_logits` and `fake_logits` are what D says of real and of generated images: any shape, any float dtype,
any real value; D's probability that an image is real is `sigmoid(logit)`. Every function returns a scalar
tensor, the mean over all logits, in nats, and is to be minimised by the player in its name. `softplus`
keeps the logarithms exact and their gradients finite for any logit: log(sigmoid(t)) = -softplus(-t).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus


def minimax_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], D's side of both games (Goodfellow et al. 2014, eq. 1)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def minimax_g_loss(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], G's side of the minimax game (Goodfellow et al. 2014, eq. 1).

    Its gradient vanishes where D is sure that an image is fake; `non_saturating_g_loss` mends that.
    """
    return -softplus(fake_logits).mean()


def non_saturating_g_loss(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))], strong exactly where D is sure (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake_logits).mean()


class AdversarialLoss(NamedTuple):
    """What D and what G minimise."""

    d: Callable[[Tensor, Tensor], Tensor]  # (real_logits, fake_logits) -> scalar
    g: Callable[[Tensor], Tensor]  # (fake_logits) -> scalar


ADVERSARIAL_LOSSES = {
    "minimax": AdversarialLoss(minimax_d_loss, minimax_g_loss),
    "non-saturating": AdversarialLoss(minimax_d_loss, non_saturating_g_loss),
}
