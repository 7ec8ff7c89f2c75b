"""Noise on what D sees and on what it is told, features for G. Random numbers are drawn outside: pure functions."""

from __future__ import annotations

import torch
from torch import Tensor


def flip_labels(real_logits: Tensor, fake_logits: Tensor, flipped: Tensor) -> tuple[Tensor, Tensor]:
    """Tells D of some images the opposite of what they are: `loss.d(*flip_labels(real_logits, fake_logits, flipped))`.

    For D's loss alone, with any adversarial loss. The n-th real and the n-th generated image change places together, so
    that there are as many of each label as before.

    Args:
        real_logits, fake_logits: `[N, ...]`, equal shapes, any float dtype.
        flipped: `[N]`, bool: `torch.rand(N) < probability`.

    Returns:
        The logits of what D is told is real, and of what it is told is fake, `[N, ...]` each.

    Raises:
        TypeError: `flipped` isn't bool.
        ValueError: shapes that don't fit.
    """
    if flipped.dtype != torch.bool:
        raise TypeError(
            f"flipped must be bool, got {flipped.dtype}; pass torch.rand(N) < probability"
        )
    if real_logits.shape != fake_logits.shape or flipped.shape != real_logits.shape[:1]:
        raise ValueError(
            f"flip_labels takes real and fake logits [N, ...] of equal shapes and flipped [N], got "
            f"{list(real_logits.shape)}, {list(fake_logits.shape)} and {list(flipped.shape)}"
        )
    flipped = flipped.reshape(-1, *(1,) * (real_logits.ndim - 1))
    return real_logits.where(~flipped, fake_logits), fake_logits.where(~flipped, real_logits)


def instance_noise(images: Tensor, noise: Tensor, std: float | Tensor) -> Tensor:
    """images + std·noise, for D's real and generated images alike (Sønderby et al. 2017).

    Both distributions then overlap, and D cannot tell them apart perfectly. `std` falls over training.

    Args:
        images: `[N, ...]`, any float dtype; kept.
        noise: of the same shape, standard normal; of its own for real and for generated images.
        std: at least 0; a number, or a tensor that broadcasts to the images (`[]`, `[N, 1, 1, 1]`). Where it changes in a
            compiled step a tensor: every new number would be compiled.

    Raises:
        ValueError: the shapes differ.
    """
    if noise.shape != images.shape:
        raise ValueError(
            f"noise must have the shape of the images {list(images.shape)}, got {list(noise.shape)}"
        )
    return images + (std * noise).to(images.dtype)


def annealed_std(std: float, nimg: int, until: int) -> float:
    """The standard deviation of `instance_noise` after `nimg` images: from `std` in a straight line to 0 at `until`.

    Raises ValueError unless std >= 0, nimg >= 0 and until >= 1.
    """
    if not (std >= 0 and nimg >= 0 and until >= 1):
        raise ValueError(
            f"std and nimg must be at least 0 and until at least 1, got {std}, {nimg} and {until}"
        )
    return std * max(0.0, 1 - nimg / until)


def feature_matching(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """‖E f(x) - E f(G(z))‖², for G (Salimans et al. 2016, section 3.1).

    f is what a layer inside of D gives. G is then to draw images that are like the real ones on the mean, whatever D says.

    Args:
        real_features: `[N, ...]`, constants to G: they may be computed under `torch.no_grad()`.
        fake_features: `[M, ...]`, of the same shape but for the batch.

    Returns:
        A scalar, of float32 for half types.

    Raises:
        ValueError: shapes that don't fit.
    """
    if real_features.ndim < 2 or real_features.shape[1:] != fake_features.shape[1:]:
        raise ValueError(
            f"feature_matching takes features [N, ...] and [M, ...] of equal shapes but for the batch, got "
            f"{list(real_features.shape)} and {list(fake_features.shape)}"
        )
    half = (torch.float16, torch.bfloat16)
    real, fake = (f.float() if f.dtype in half else f for f in (real_features, fake_features))
    return (real.mean(0) - fake.mean(0)).square().sum()
