"""Differentiable augmentation (Zhao et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor

from fastgan import ops
from fastgan.augment.base import Augment, check_images, columns, join_alpha, split_alpha
from fastgan.augment.corruptions import cutout

POLICIES = ("color", "translation", "cutout")
UNIFORM = ("brightness", "saturation", "contrast", "shift_x", "shift_y", "cutout_x", "cutout_y")


class DiffAugment(Augment):
    """Colour, translation and cutout, each on every image.

    color: brightness adds up to ±½; saturation scales what differs from grey by 0 to 2; contrast scales what differs from
    the image's mean by ½ to 1½. translation: up to an eighth of the sides, zeros moving in. cutout: a square of half the
    side is set to 0. An alpha, the last of two or four channels, keeps its values under color.

    Args:
        policy: some of color, translation, cutout; made in this order.

    Raises:
        ValueError: an unknown name, or none.
    """

    def __init__(self, policy: Sequence[str] = POLICIES) -> None:
        super().__init__()
        if isinstance(policy, str) or not policy or set(policy) - set(POLICIES):
            raise ValueError(f"policy must be some of {POLICIES}, got {policy!r}")
        self.policy = tuple(name for name in POLICIES if name in policy)

    def draw(self, count: int, generator: Generator) -> dict[str, Tensor]:
        return {"uniform": torch.rand(count, len(UNIFORM), generator=generator)}

    def forward(self, images: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        check_images(images, rows)
        wide = images if images.dtype == torch.float64 else images.float()
        u = columns(rows["uniform"].to(wide.dtype), UNIFORM)
        if "color" in self.policy:
            wide = _recolored(wide, u)
        if "translation" in self.policy:
            wide = _shifted(wide, u["shift_x"], u["shift_y"])
        if "cutout" in self.policy:
            wide = cutout(wide, u["cutout_x"], u["cutout_y"], torch.full_like(u["cutout_x"], 0.5))
        return wide.to(images.dtype)

    def extra_repr(self) -> str:
        return f"policy={self.policy}"


def _recolored(images: Tensor, u: Mapping[str, Tensor]) -> Tensor:
    colours, alpha = split_alpha(images)
    brightness, saturation, contrast = (u[name][:, None, None, None] for name in UNIFORM[:3])
    colours = colours + (brightness - 0.5)
    grey = colours.mean(1, keepdim=True)
    colours = grey + (colours - grey) * (2 * saturation)
    mean = colours.mean((1, 2, 3), keepdim=True)
    return join_alpha(mean + (colours - mean) * (contrast + 0.5), alpha)


def _shifted(images: Tensor, u_x: Tensor, u_y: Tensor) -> Tensor:
    """Each image moved by whole pixels, uniform among those up to an eighth of the side; zeros beyond it."""
    places = []
    for u, side in ((u_x, images.shape[3]), (u_y, images.shape[2])):
        most = round(side / 8)
        shift = (u * (2 * most + 1)).floor() - most
        pixel = torch.arange(side, dtype=u.dtype, device=u.device) - shift[:, None]
        places.append((2 * pixel + 1) / side - 1)
    x, y = places[0][:, None, :], places[1][:, :, None]
    grid = torch.stack(torch.broadcast_tensors(x, y), 3)
    return ops.grid_sample(images, grid, mode="nearest")
