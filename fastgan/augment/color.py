"""ADA's colour transformations: one affine map of a pixel's colour per image."""

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
    """Brightness, contrast, luma flip, hue and saturation as ``[N, 3, 4]`` on the homogeneous colour (r, g, b, 1).

    With v = (1, 1, 1)/√3, the grey axis: b is added, all is scaled by c, grey is mirrored (I - 2·vvᵀ), colours are turned
    about v by θ, and what is not grey is scaled by s (I + (s - 1)(I - vvᵀ)). A transformation that is off is exactly I.
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
    grey = torch.full_like(eye, 1 / 3)  # vvᵀ
    cross = (eye.roll(1, 0) - eye.roll(1, 1)) / math.sqrt(3)  # x ↦ v × x
    scaled, flipped, angle, saturation = (
        t[:, None, None] for t in (contrast, flipped, angle, saturation)
    )
    turn = angle.cos() * eye + (1 - angle.cos()) * grey + angle.sin() * cross  # Rodrigues
    linear = (
        product(product(eye + (saturation - 1) * (eye - grey), turn), eye - 2 * flipped * grey)
        * scaled
    )
    # contrast and luma flip act on what brightness added, hue and saturation leave grey as it is
    offset = linear.sum(2, keepdim=True) * brightness[:, None, None]
    return torch.cat([linear, offset], 2)


def apply_color(images: Tensor, matrix: Tensor) -> Tensor:
    """``[N, C, H, W]`` under ``matrix[N, 3, 4]``: RGB whole, one channel as grey, alpha (the last of 2 or 4) untouched."""
    colours, alpha = split_alpha(images)
    linear, offset = matrix[:, :, :3], matrix[:, :, 3:]
    if colours.shape[1] == 1:  # every transformation maps grey to grey
        linear, offset = linear.sum(2, keepdim=True)[:, :1], offset[:, :1]
    changed = offset[..., None]
    for channel, factors in enumerate(linear.unbind(2)):
        changed = torch.addcmul(changed, factors[:, :, None, None], colours[:, channel, None])
    return join_alpha(changed, alpha)
