"""Flipped labels, instance noise and feature matching as pure functions.

Random numbers are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import l1_loss


def flip_labels(real_logits: Tensor, fake_logits: Tensor, flipped: Tensor) -> tuple[Tensor, Tensor]:
    """Exchange the logits of some real and generated images, so that D gets wrong labels for them.

    Use it in D's loss, with any adversarial loss: ``loss.d(*flip_labels(real_logits, fake_logits,
    flipped))``. The n-th real and the n-th generated image are exchanged together, so the number of
    each label stays the same.

    Args:
        real_logits, fake_logits: ``[N, ...]`` of one shape, any float dtype.
        flipped: bool ``[N]``: ``torch.rand(N) < probability``.

    Returns:
        The logits labelled real and those labelled fake, ``[N, ...]`` each.

    Raises:
        TypeError: ``flipped`` is not bool.
        ValueError: the shapes don't fit.
    """
    if flipped.dtype != torch.bool:
        raise TypeError(
            f"flipped must be bool, got {flipped.dtype}; pass torch.rand(N) < probability"
        )
    if real_logits.shape != fake_logits.shape or flipped.shape != real_logits.shape[:1]:
        raise ValueError(
            "real_logits and fake_logits must be [N, ...] of equal shapes and flipped [N], got "
            f"{list(real_logits.shape)}, {list(fake_logits.shape)} and {list(flipped.shape)}"
        )
    flipped = flipped.reshape(-1, *(1,) * (real_logits.ndim - 1))
    return real_logits.where(~flipped, fake_logits), fake_logits.where(~flipped, real_logits)


def instance_noise(images: Tensor, noise: Tensor, std: float | Tensor) -> Tensor:
    """Return images + std·noise, for D's real and generated images alike (Sønderby et al. 2017).

    The noise makes both distributions overlap, so D cannot separate them perfectly. ``std`` falls
    during training.

    Args:
        images: ``[N, ...]``, any float dtype, which the result keeps.
        noise: standard normal, of the images' shape; drawn separately for real and generated
            images.
        std: at least 0; a number, or a tensor that broadcasts to the images (``[]``,
            ``[N, 1, 1, 1]``). In a compiled step pass a tensor: each new number compiles again.

    Raises:
        ValueError: the shapes differ.
    """
    if noise.shape != images.shape:
        raise ValueError(
            f"noise must have the shape of the images {list(images.shape)}, got {list(noise.shape)}"
        )
    return images + (std * noise).to(images.dtype)


def annealed_std(std: float, nimg: int, until: int) -> float:
    """Return the standard deviation of :func:`instance_noise` after ``nimg`` images.

    It falls linearly from ``std`` to 0 at ``until`` images.

    Raises:
        ValueError: ``std`` or ``nimg`` is negative, or ``until`` is below 1.
    """
    if not (std >= 0 and nimg >= 0 and until >= 1):
        raise ValueError(
            f"std and nimg must be at least 0 and until at least 1, got {std}, {nimg} and {until}"
        )
    return std * max(0.0, 1 - nimg / until)


def feature_matching(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """Return ‖E f(x) - E f(G(z))‖² with features f of D, for G (Salimans et al. 2016, section 3.1).

    It makes generated images match the real ones in the mean of the features.

    Args:
        real_features: ``[N, ...]``; constants for G, so they may be computed under
            ``torch.no_grad()``.
        fake_features: ``[M, ...]`` of the same shape but for the batch.

    Returns:
        A scalar, float32 for half types.

    Raises:
        ValueError: the shapes don't fit.
    """
    if real_features.ndim < 2 or real_features.shape[1:] != fake_features.shape[1:]:
        raise ValueError(
            "real_features and fake_features must be [N, ...] and [M, ...] of equal shapes but for "
            f"the batch, got {list(real_features.shape)} and {list(fake_features.shape)}"
        )
    half = (torch.float16, torch.bfloat16)
    real, fake = (f.float() if f.dtype in half else f for f in (real_features, fake_features))
    return (real.mean(0) - fake.mean(0)).square().sum()


def layer_matching(real_features: Sequence[Tensor], fake_features: Sequence[Tensor]) -> Tensor:
    """Return ``Σ_i mean |f_i(x) - f_i(G(z))|`` over D's layers i (Wang et al. 2018, eq. 3).

    It compares each generated image with its own target, unlike :func:`feature_matching`.

    Args:
        real_features: features of each layer ``[N, ...]``; constants for G.
        fake_features: features of the same layers and shapes.

    Returns:
        A scalar, float32 for half types.

    Raises:
        ValueError: the numbers of layers differ, or there are none.
    """
    if not real_features or len(real_features) != len(fake_features):
        raise ValueError(
            "real_features and fake_features must be of the same layers, at least one, got "
            f"{len(real_features)} and {len(fake_features)}"
        )
    half = (torch.float16, torch.bfloat16)
    distances = []
    for pair in zip(fake_features, real_features):
        fake, real = (f.float() if f.dtype in half else f for f in pair)
        distances.append(l1_loss(fake, real))
    return torch.stack(distances).sum()
