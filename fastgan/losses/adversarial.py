"""Adversarial losses on logits.

`real_logits` and `fake_logits` are what D says of real and of generated images: any shape, any float dtype,
any real value; where a loss speaks of probabilities, D's that an image is real is `sigmoid(logit)`. Every function
returns a scalar tensor, the mean over all logits (cross-entropies in nats), and is to be minimised by the player in
its name. `softplus` keeps the logarithms exact and their gradients finite for any logit: log(sigmoid(t)) = -softplus(-t).
float16 logits are best given as float32: squares and sums of them leave its range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite

from torch import Tensor
from torch.nn.functional import relu, softplus


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """-label·log D - (1 - label)·log(1 - D), the mean; two terms of one sign, so nothing cancels."""
    return (label * softplus(-logits) + (1 - label) * softplus(logits)).mean()


def minimax_d_loss(
    real_logits: Tensor, fake_logits: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))], D's side of both games (Goodfellow et al. 2014, eq. 1).

    real_label, fake_label: in [0, 1], what D is to say of real and generated images. Smoothing is one-sided with 0.9
    and 0 (Salimans et al. 2016, section 3.4), two-sided with 0.9 and 0.1.
    """
    return _cross_entropy(real_logits, real_label) + _cross_entropy(fake_logits, fake_label)


def minimax_g_loss(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))], G's side of the minimax game (Goodfellow et al. 2014, eq. 1).

    Its gradient vanishes where D is sure that an image is fake; `non_saturating_g_loss` mends that.
    """
    return -softplus(fake_logits).mean()


def non_saturating_g_loss(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))], strong exactly where D is sure (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake_logits).mean()


def wasserstein_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)], minus the distance that a 1-Lipschitz D estimates (Arjovsky et al. 2017, eq. 2).

    Without a bound on D (`penalties.wgan_gp`, `penalties.clip_weights_`) it falls without end.
    """
    return fake_logits.mean() - real_logits.mean()


def wasserstein_g_loss(fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))], also G's side of the hinge loss (Arjovsky et al. 2017; Lim and Ye 2017)."""
    return -fake_logits.mean()


def hinge_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017; Miyato et al. 2018, eq. 16)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def least_squares_d_loss(
    real_logits: Tensor, fake_logits: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> Tensor:
    """½·E[(D(x) - b)²] + ½·E[(D(G(z)) - a)²] with b = real_label, a = fake_label (Mao et al. 2017, eq. 2)."""
    return (
        (real_logits - real_label).square().mean() + (fake_logits - fake_label).square().mean()
    ) / 2


def least_squares_g_loss(fake_logits: Tensor, *, g_label: float = 1.0) -> Tensor:
    """½·E[(D(G(z)) - c)²] with c = g_label, what G wants D to say of its images (Mao et al. 2017, eq. 2)."""
    return (fake_logits - g_label).square().mean() / 2


def relativistic_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[softplus(-(D(x) - D(G(z))))]: real more real than fake, pair by pair (Jolicoeur-Martineau 2018, RpGAN).

    Raises ValueError if the shapes differ: the n-th real image is compared with the n-th generated one.
    """
    if real_logits.shape != fake_logits.shape:
        raise ValueError(
            f"the relativistic loss compares real and fake logits in pairs and needs equal shapes, got "
            f"{list(real_logits.shape)} and {list(fake_logits.shape)}; give it as many real images as generated ones"
        )
    return softplus(fake_logits - real_logits).mean()


def relativistic_g_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """E[softplus(-(D(G(z)) - D(x)))]: fake more real than real, pair by pair (Jolicoeur-Martineau 2018, RpGAN).

    `real_logits` are constants to G: D(x) may run under `torch.no_grad()`.
    Raises ValueError if the shapes differ.
    """
    return relativistic_d_loss(fake_logits, real_logits)


@dataclass(frozen=True)
class AdversarialLoss:
    """What D and what G minimise.

    pairs: whether G's loss compares generated with real images, so that G's turn has to run D on both.
    """

    d_loss: Callable[..., Tensor]
    g_loss: Callable[..., Tensor]
    pairs: bool = False

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """D's loss, a scalar."""
        return self.d_loss(real_logits, fake_logits)

    def g(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """G's loss, a scalar. `real_logits` are looked at only if `pairs`; ValueError if they are missing then."""
        if not self.pairs:
            return self.g_loss(fake_logits)
        if real_logits is None:
            raise ValueError(
                "G's side of this loss compares generated with real images and got no real logits; "
                "call g(fake_logits, real_logits)"
            )
        return self.g_loss(fake_logits, real_logits)


ADVERSARIAL_LOSSES = {
    "minimax": AdversarialLoss(minimax_d_loss, minimax_g_loss),
    "non-saturating": AdversarialLoss(minimax_d_loss, non_saturating_g_loss),
    "wasserstein": AdversarialLoss(wasserstein_d_loss, wasserstein_g_loss),
    "hinge": AdversarialLoss(hinge_d_loss, wasserstein_g_loss),
    "least-squares": AdversarialLoss(least_squares_d_loss, least_squares_g_loss),
    "relativistic": AdversarialLoss(relativistic_d_loss, relativistic_g_loss, pairs=True),
}


def adversarial_loss(
    name: str, *, real_label: float = 1.0, fake_label: float = 0.0, g_label: float | None = None
) -> AdversarialLoss:
    """The loss called `name` with labels of its own.

    Args:
        name: a key of `ADVERSARIAL_LOSSES`.
        real_label, fake_label: what D is to say of real and generated images: probabilities for minimax and
            non-saturating (label smoothing), logits for least-squares (the paper's b and a); the others have none.
        g_label: what G wants D to say of its images, for least-squares alone (the paper's c); by default `real_label`.

    Raises:
        ValueError: an unknown name, labels out of range or not in order, labels for a loss that has none.
    """
    if name not in ADVERSARIAL_LOSSES:
        raise ValueError(
            f"adversarial loss must be one of {', '.join(ADVERSARIAL_LOSSES)}, got {name!r}"
        )
    loss = ADVERSARIAL_LOSSES[name]
    if g_label is not None and name != "least-squares":
        raise ValueError(
            f"g_label is for least-squares alone, got {g_label} for {name}; leave it out"
        )
    if loss.d_loss is minimax_d_loss:
        if not 0 <= fake_label < real_label <= 1:
            raise ValueError(
                f"labels of {name} must be 0 <= fake_label < real_label <= 1, got {fake_label} and {real_label}"
            )
    elif loss.d_loss is least_squares_d_loss:
        g_label = real_label if g_label is None else g_label
        if not (
            fake_label < real_label and isfinite(real_label - fake_label) and isfinite(g_label)
        ):
            raise ValueError(
                f"labels of {name} must be finite, fake_label < real_label, got fake_label {fake_label}, "
                f"real_label {real_label} and g_label {g_label}"
            )
        loss = replace(loss, g_loss=partial(least_squares_g_loss, g_label=g_label))
    elif (real_label, fake_label) != (1.0, 0.0):
        raise ValueError(
            f"{name} has no labels to smooth, got real_label {real_label} and fake_label {fake_label}; "
            f"leave them out or choose minimax, non-saturating or least-squares"
        )
    else:
        return loss
    return replace(loss, d_loss=partial(loss.d_loss, real_label=real_label, fake_label=fake_label))
