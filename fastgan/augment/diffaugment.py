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
    """Colour, translation and cutout, each applied to every image (Zhao et al. 2020).

    - color: brightness adds up to ±½. Saturation scales the difference from grey by 0 to 2.
      Contrast scales the difference from the image's mean by ½ to 1½. Alpha, the last of two or
      four channels, is unchanged.
    - translation: shifts by up to an eighth of each side; zeros fill the border.
    - cutout: sets a square of half the side to 0.

    Args:
        policy: some of color, translation and cutout; the order is always this one.

    Raises:
        ValueError: ``policy`` is empty or holds an unknown name.
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
            wide = _change_colors(wide, u)
        return self._move(wide, u).to(images.dtype)

    def move(self, planes: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        """Transform planes of other data as :meth:`forward` does images, but for their colours.

        Args:
            planes: ``[N, K, H, W]``, such as a map of classes or a mask, any float dtype.
            rows: rows of the images that the planes belong to.

        Returns:
            ``[N, K, H, W]`` in the dtype of ``planes``.
        """
        wide = planes if planes.dtype == torch.float64 else planes.float()
        return self._move(wide, columns(rows["uniform"].to(wide.dtype), UNIFORM)).to(planes.dtype)

    def _move(self, wide: Tensor, u: Mapping[str, Tensor]) -> Tensor:
        if "translation" in self.policy:
            wide = _translate(wide, u["shift_x"], u["shift_y"])
        if "cutout" in self.policy:
            wide = cutout(wide, u["cutout_x"], u["cutout_y"], torch.full_like(u["cutout_x"], 0.5))
        return wide

    def extra_repr(self) -> str:
        return f"policy={self.policy}"


def _change_colors(images: Tensor, u: Mapping[str, Tensor]) -> Tensor:
    """Change brightness, saturation and contrast, in this order."""
    colours, alpha = split_alpha(images)
    brightness, saturation, contrast = (u[name][:, None, None, None] for name in UNIFORM[:3])
    colours = colours + (brightness - 0.5)
    grey = colours.mean(1, keepdim=True)
    colours = grey + (colours - grey) * (2 * saturation)
    mean = colours.mean((1, 2, 3), keepdim=True)
    return join_alpha(mean + (colours - mean) * (contrast + 0.5), alpha)


def _translate(images: Tensor, u_x: Tensor, u_y: Tensor) -> Tensor:
    """Move each image by whole pixels; zeros fill the border.

    Shifts are uniform up to an eighth of each side.
    """
    places = []
    for u, side in ((u_x, images.shape[3]), (u_y, images.shape[2])):
        most = round(side / 8)
        shift = (u * (2 * most + 1)).floor() - most
        pixel = torch.arange(side, dtype=u.dtype, device=u.device) - shift[:, None]
        places.append((2 * pixel + 1) / side - 1)
    x, y = places[0][:, None, :], places[1][:, :, None]
    grid = torch.stack(torch.broadcast_tensors(x, y), 3)
    return ops.grid_sample(images, grid, mode="nearest")
