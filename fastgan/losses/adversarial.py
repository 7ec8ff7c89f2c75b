"""Adversarial losses on logits.

Arguments ``real_logits`` and ``fake_logits`` are D's logits of real and generated images: any
shape, any float dtype, any real value. There may be more of one than of the other, except in the
relativistic losses, which compare pairs. The probability that an image is real is
``sigmoid(logit)``. Every function returns a scalar, the mean over all logits, for the player in
its name to minimise. Cross-entropies are in nats.

Logarithms are computed as log(sigmoid(t)) = -softplus(-t), which is exact and has finite gradients
for any logit. Convert float16 logits to float32 first: squares and sums of them overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from fastgan.losses.scale import (
    LossScale,
    certainty_of_logits,
    cross_entropy_scale,
    hinge_scale,
    least_squares_scale,
    relativistic_scale,
)

Adversarial = Literal[
    "minimax", "non-saturating", "wasserstein", "hinge", "least-squares", "relativistic"
]
"""Names of ``ADVERSARIAL_LOSSES``."""


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Return -label·log D - (1 - label)·log(1 - D) for each logit.

    Both terms are positive, so nothing cancels. One of weight 0 is left out.
    """
    if label == 1:
        return softplus(-logits)
    if label == 0:
        return softplus(logits)
    return label * softplus(-logits) + (1 - label) * softplus(logits)


def minimax_d_loss(
    real_logits: Tensor, fake_logits: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> Tensor:
    """Return -E[log D(x)] - E[log(1 - D(G(z)))], D's loss of both games.

    Goodfellow et al. 2014, eq. 1.

    Args:
        real_logits, fake_logits: D's logits.
        real_label, fake_label: targets in [0, 1] for real and generated images. Label smoothing is
            one-sided with 0.9 and 0 (Salimans et al. 2016, section 3.4), two-sided with 0.9 and
            0.1.
    """
    real = _cross_entropy(real_logits, real_label).mean()
    return real + _cross_entropy(fake_logits, fake_label).mean()


def minimax_g_loss(fake_logits: Tensor) -> Tensor:
    """Return E[log(1 - D(G(z)))], G's loss of the minimax game (Goodfellow et al. 2014, eq. 1).

    Its gradient vanishes for images that D is sure are fake. :func:`non_saturating_g_loss` does not
    have this problem.
    """
    return -softplus(fake_logits).mean()


def non_saturating_g_loss(fake_logits: Tensor) -> Tensor:
    """Return -E[log D(G(z))] (Goodfellow et al. 2014, section 3).

    Its gradient is largest for images that D is sure are fake.
    """
    return softplus(-fake_logits).mean()


def wasserstein_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E[D(G(z))] - E[D(x)] (Arjovsky et al. 2017, eq. 2).

    It is minus the Wasserstein distance that a 1-Lipschitz D estimates. Bound D, by
    ``penalties.wgan_gp`` or ``penalties.clip_weights_``: otherwise the loss falls without limit.
    """
    return fake_logits.mean() - real_logits.mean()


def wasserstein_g_loss(fake_logits: Tensor) -> Tensor:
    """Return -E[D(G(z))], also G's side of the hinge loss.

    Arjovsky et al. 2017; Lim and Ye 2017.
    """
    return -fake_logits.mean()


def hinge_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))].

    Lim and Ye 2017; Miyato et al. 2018, eq. 16.
    """
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def least_squares_d_loss(
    real_logits: Tensor, fake_logits: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0
) -> Tensor:
    """Return ½·E[(D(x) - b)²] + ½·E[(D(G(z)) - a)²] (Mao et al. 2017, eq. 2).

    Args:
        real_logits, fake_logits: D's logits.
        real_label, fake_label: the targets b and a.
    """
    return (
        (real_logits - real_label).square().mean() + (fake_logits - fake_label).square().mean()
    ) / 2


def least_squares_g_loss(fake_logits: Tensor, *, g_label: float = 1.0) -> Tensor:
    """Return ½·E[(D(G(z)) - c)²] (Mao et al. 2017, eq. 2).

    Args:
        fake_logits: D's logits of generated images.
        g_label: the target c, the logit that G aims at.
    """
    return (fake_logits - g_label).square().mean() / 2


def relativistic_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E[softplus(-(D(x) - D(G(z))))], the RpGAN loss (Jolicoeur-Martineau 2018).

    It is small where each real image looks more real than the generated image of the same index.

    Raises:
        ValueError: the shapes differ.
    """
    if real_logits.shape != fake_logits.shape:
        raise ValueError(
            "real_logits and fake_logits must have equal shapes for the relativistic loss, got "
            f"{list(real_logits.shape)} and {list(fake_logits.shape)}; pass as many real images "
            "as generated ones"
        )
    return softplus(fake_logits - real_logits).mean()


def relativistic_g_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """Return E[softplus(-(D(G(z)) - D(x)))], the RpGAN loss (Jolicoeur-Martineau 2018).

    ``real_logits`` are constants for G, so D(x) may run under ``torch.no_grad()``.

    Raises:
        ValueError: the shapes differ.
    """
    return relativistic_d_loss(fake_logits, real_logits)


@dataclass(frozen=True)
class AdversarialLoss:
    """Loss functions of D and of G, and the meaning of D's logits in them.

    Attributes:
        d_loss: D's loss, called with ``real_logits`` and ``fake_logits``, and with ``real_label``
            and ``fake_label`` where ``labels`` isn't "none".
        g_loss: G's loss, called with ``fake_logits``, and with ``real_logits`` where ``pairs`` is
            True.
        terms: both players' logits and labels to D's loss of each image, see ``d_terms``.
        pairs: G's loss compares generated with real images, so G's phase runs D on both.
        labels: what D's targets are: "probabilities" of "real", which is the sigmoid of a logit;
            "logits"; or "none", for a loss without targets.
        scale_of: scale of D's loss for two labels and a probability to flip them; None without one.
        real_label, fake_label: D's targets for real and generated images.
    """

    d_loss: Callable[..., Tensor]
    g_loss: Callable[..., Tensor]
    terms: Callable[[Tensor, Tensor, float, float], tuple[Tensor, Tensor]]
    pairs: bool = False
    labels: Literal["none", "probabilities", "logits"] = "none"
    scale_of: Callable[[float, float, float], LossScale] | None = None
    real_label: float = 1.0
    fake_label: float = 0.0

    @property
    def has_probabilities(self) -> bool:
        """True if the sigmoid of a logit is D's probability that the image is real."""
        return self.labels == "probabilities"

    def scale(self, flipped: float = 0.0) -> LossScale | None:
        """Return the scale of D's loss; None if it has none, or D learns nothing.

        Args:
            flipped: probability that a label is flipped.
        """
        if self.scale_of is None or flipped >= 0.5:
            return None
        return self.scale_of(self.real_label, self.fake_label, flipped)

    def d_terms(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return D's loss of each real and of each generated image.

        They have the shapes of the logits, and ``d`` is the sum of their means. The loss of pairs
        is all in the second one.
        """
        return self.terms(real_logits, fake_logits, self.real_label, self.fake_label)

    def d(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return D's loss, a scalar."""
        if self.labels == "none":
            return self.d_loss(real_logits, fake_logits)
        return self.d_loss(
            real_logits, fake_logits, real_label=self.real_label, fake_label=self.fake_label
        )

    def g(self, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
        """Return G's loss, a scalar.

        Args:
            fake_logits: D's logits of generated images.
            real_logits: D's logits of real images; used where ``pairs`` is True.

        Raises:
            ValueError: ``pairs`` is True and ``real_logits`` is None.
        """
        if not self.pairs:
            return self.g_loss(fake_logits)
        if real_logits is None:
            raise ValueError(
                "real_logits must be D's logits of real images for this loss, got None; "
                "call g(fake_logits, real_logits)"
            )
        return self.g_loss(fake_logits, real_logits)

    def verdicts(
        self, *, real: Tensor, fake: Tensor, certainty: Tensor | None = None, **others: Tensor
    ) -> dict[str, Tensor]:
        """Return scalars to log: means of D's verdicts, and its certainty.

        The means are "D(real)" for ``real``, and so on. They are probabilities; a loss without them
        has means of logits, named "logit(real)".

        Args:
            real, fake: D's logits of real and generated images.
            certainty: D's certainty by its loss; None takes that of
                :func:`fastgan.losses.scale.certainty_of_logits`.
            others: D's logits of further images by name.
        """
        logits = {"real": real, "fake": fake, **others}
        if self.has_probabilities:
            means = {f"D({name})": each.sigmoid().mean() for name, each in logits.items()}
        else:
            means = {f"logit({name})": each.mean() for name, each in logits.items()}
        if certainty is None:
            certainty = certainty_of_logits(real.detach(), fake.detach())
        return {**means, "certainty": certainty}


ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(
        minimax_d_loss,
        minimax_g_loss,
        lambda r, f, b, a: (_cross_entropy(r, b), _cross_entropy(f, a)),
        labels="probabilities",
        scale_of=cross_entropy_scale,
    ),
    "non-saturating": AdversarialLoss(
        minimax_d_loss,
        non_saturating_g_loss,
        lambda r, f, b, a: (_cross_entropy(r, b), _cross_entropy(f, a)),
        labels="probabilities",
        scale_of=cross_entropy_scale,
    ),
    "wasserstein": AdversarialLoss(
        wasserstein_d_loss, wasserstein_g_loss, lambda r, f, b, a: (-r, f)
    ),
    "hinge": AdversarialLoss(
        hinge_d_loss,
        wasserstein_g_loss,
        lambda r, f, b, a: (relu(1 - r), relu(1 + f)),
        scale_of=hinge_scale,
    ),
    "least-squares": AdversarialLoss(
        least_squares_d_loss,
        least_squares_g_loss,
        lambda r, f, b, a: ((r - b).square() / 2, (f - a).square() / 2),
        labels="logits",
        scale_of=least_squares_scale,
    ),
    "relativistic": AdversarialLoss(
        relativistic_d_loss,
        relativistic_g_loss,
        lambda r, f, b, a: (torch.zeros_like(r), softplus(f - r)),
        pairs=True,
        scale_of=relativistic_scale,
    ),
}


def adversarial_loss(
    name: str, *, real_label: float = 1.0, fake_label: float = 0.0, g_label: float | None = None
) -> AdversarialLoss:
    """Return the adversarial loss called ``name``, with the given targets.

    Args:
        name: a key of ``ADVERSARIAL_LOSSES``.
        real_label, fake_label: D's targets for real and generated images. They are probabilities
            for minimax and non-saturating (label smoothing), and logits for least-squares (b and a
            of the paper). Other losses have none.
        g_label: the logit that G aims at, for least-squares alone (c of the paper); None for
            ``real_label``.

    Raises:
        ValueError: the name is unknown, or a label is out of range, out of order or not used by the
            loss.
    """
    loss = ADVERSARIAL_LOSSES.get(name)
    if loss is None:
        raise ValueError(f"name must be one of {', '.join(ADVERSARIAL_LOSSES)}, got {name!r}")
    if g_label is not None and loss.labels != "logits":
        raise ValueError(
            f"g_label must be None for {name}, got {g_label}; it is for {_with('logits')} alone"
        )
    if loss.labels == "probabilities":
        if not 0 <= fake_label < real_label <= 1:
            raise ValueError(
                f"labels of {name} must be 0 <= fake_label < real_label <= 1, "
                f"got fake_label {fake_label} and real_label {real_label}"
            )
    elif loss.labels == "logits":
        g_label = real_label if g_label is None else g_label
        if not (
            fake_label < real_label and isfinite(real_label - fake_label) and isfinite(g_label)
        ):
            raise ValueError(
                f"labels of {name} must be finite with fake_label < real_label, got fake_label "
                f"{fake_label}, real_label {real_label} and g_label {g_label}"
            )
        loss = replace(loss, g_loss=partial(loss.g_loss, g_label=g_label))
    elif (real_label, fake_label) != (1.0, 0.0):
        raise ValueError(
            f"real_label and fake_label must be 1 and 0 for {name}, got {real_label} and "
            f"{fake_label}; leave them out or use {_with('probabilities', 'logits')}"
        )
    return replace(loss, real_label=real_label, fake_label=fake_label)


def _with(*labels: str) -> str:
    """Return the names of the losses with these kinds of labels, in words."""
    *names, last = [name for name, loss in ADVERSARIAL_LOSSES.items() if loss.labels in labels]
    return f"{', '.join(names)} or {last}" if names else last
