"""Colour transformations of ADA: an affine map of the colours of each image."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from fastgan.augment.base import join_alpha, product, split_alpha
from fastgan.augment.settings import Strengths


def color_matrix(
    on: Mapping[str, Tensor], u: Mapping[str, Tensor], z: Mapping[str, Tensor], strengths: Strengths
) -> Tensor:
    """Return brightness, contrast, luma flip, hue and saturation as matrices ``[N, 3, 4]``.

    They act on homogeneous colours (r, g, b, 1). With the grey axis v = (1, 1, 1)/√3: brightness
    adds b, contrast scales by c, and the luma flip mirrors grey (I - 2·vvᵀ). Hue rotates by θ about
    v, and saturation scales the colour beside grey (I + (s - 1)(I - vvᵀ)). A transformation that is
    off is exactly I.
    """
    zero = torch.zeros_like(z["brightness"])
    brightness = torch.where(on["brightness"], z["brightness"] * strengths.brightness, zero)
    contrast = torch.exp2(torch.where(on["contrast"], z["contrast"] * strengths.contrast, zero))
    flipped = (on["luma_flip"] & (u["luma_flip"] < 0.5)).to(zero.dtype)
    angle = torch.where(on["hue"], (2 * u["hue"] - 1) * math.radians(strengths.hue), zero)
    saturation = torch.exp2(
        torch.where(on["saturation"], z["saturation"] * strengths.saturation, zero)
    )

    eye = torch.eye(3, dtype=zero.dtype, device=zero.device)
    # vvᵀ, and the matrix of x ↦ v × x.
    grey = torch.full_like(eye, 1 / 3)
    cross = (eye.roll(1, 0) - eye.roll(1, 1)) / math.sqrt(3)
    scaled, flipped, angle, saturation = (
        t[:, None, None] for t in (contrast, flipped, angle, saturation)
    )
    # Rodrigues' formula.
    turn = angle.cos() * eye + (1 - angle.cos()) * grey + angle.sin() * cross
    linear = (
        product(product(eye + (saturation - 1) * (eye - grey), turn), eye - 2 * flipped * grey)
        * scaled
    )
    # Brightness comes first, so contrast and luma flip act on it; hue and saturation keep grey.
    offset = linear.sum(2, keepdim=True) * brightness[:, None, None]
    return torch.cat([linear, offset], 2)


def apply_color(images: Tensor, matrix: Tensor) -> Tensor:
    """Apply ``matrix`` ``[N, 3, 4]`` to the colours of images ``[N, C, H, W]``.

    A single channel is treated as grey. Alpha, the last of two or four channels, is unchanged.
    """
    colours, alpha = split_alpha(images)
    linear, offset = matrix[:, :, :3], matrix[:, :, 3:]
    if colours.shape[1] == 1:
        # Every transformation maps grey to grey.
        linear, offset = linear.sum(2, keepdim=True)[:, :1], offset[:, :1]
    changed = offset[..., None]
    for channel, factors in enumerate(linear.unbind(2)):
        changed = torch.addcmul(changed, factors[:, :, None, None], colours[:, channel, None])
    return join_alpha(changed, alpha)
