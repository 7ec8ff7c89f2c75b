"""Progressive growing of networks (Karras et al. 2018, section 2 and figure 2).

A growing network holds the layers of all resolutions and runs those up to a level. Level 0 has the
lowest resolution, and each level doubles it. A new level fades in: G's image and D's features are
blended from those of the level below, up- or downsampled, to those of the new level.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.networks.checks import check_shape


class Growing(nn.Module):
    """Base of networks that grow.

    ``growth`` is a float32 buffer, so it is in the state dict: 2 for levels 0 to 2, 2.3 while level
    3 fades in with a weight of 0.3. ``level`` is the highest level in use. A new network is fully
    grown.

    Args:
        channels: channels of the images.
        lowest: resolution of level 0.
        resolution: resolution of the last level, ``lowest`` times a power of two.
    """

    growth: Tensor

    def __init__(self, channels: int, lowest: int, resolution: int) -> None:
        super().__init__()
        self.channels, self.resolution = channels, resolution
        self.resolutions = tuple(lowest * 2**i for i in range((resolution // lowest).bit_length()))
        self.register_buffer("growth", torch.zeros(()))
        self.register_load_state_dict_post_hook(_find_level)
        self.grow(len(self.resolutions) - 1)

    def grow(self, growth: float) -> None:
        """Set ``growth``.

        Raises:
            ValueError: ``growth`` is not from 0 to the number of levels minus 1.
        """
        if not 0 <= growth <= len(self.resolutions) - 1:
            raise ValueError(
                f"growth must be from 0 to {len(self.resolutions) - 1}, got {growth!r}"
            )
        self.growth.fill_(growth)
        # Rounded like the buffer, but without waiting for a device.
        self.level = math.ceil(torch.tensor(growth, dtype=torch.float32, device="cpu").item())

    @property
    def current(self) -> int:
        """Resolution of the level in use."""
        return self.resolutions[self.level]

    def blend(self, below: Tensor, new: Tensor) -> Tensor:
        """Blend two tensors of one shape by the fade of the level, exactly at both ends.

        Args:
            below: tensor of the level below.
            new: tensor of the level in use; its dtype is that of the result.
        """
        fade = self.growth - (self.level - 1)
        return torch.lerp(below.to(new.dtype), new, fade.to(new.dtype))

    def shrink(self, images: Tensor) -> Tensor:
        """Average images of the full resolution down to the current one.

        Images of the current resolution are returned.

        Raises:
            ValueError: images have another shape.
        """
        check_shape("images", images, self.channels, "H", "W")
        if images.shape[2:] not in [(r, r) for r in (self.current, self.resolution)]:
            raise ValueError(
                f"images must have shape [N, {self.channels}, {self.current}, {self.current}], the "
                f"current resolution, or [N, {self.channels}, {self.resolution}, "
                f"{self.resolution}], got {list(images.shape)}"
            )
        factor = images.shape[2] // self.current
        return images if factor == 1 else F.avg_pool2d(images, factor)

    def enlarge(self, images: Tensor) -> Tensor:
        """Repeat the pixels of images of the current resolution up to the full one."""
        return repeat_pixels(images, self.resolution // self.current)

    def fade_real(self, images: Tensor) -> Tensor:
        """Return real images at the current resolution, faded like generated images.

        Images have the full or the current resolution.
        """
        images = self.shrink(images)
        if self.level == 0:
            return images
        return self.blend(repeat_pixels(F.avg_pool2d(images, 2), 2), images)

    def extra_repr(self) -> str:
        return f"{self.resolutions[0]} to {self.resolution}, level={self.level}"


def repeat_pixels(images: Tensor, factor: int) -> Tensor:
    """Repeat pixels: ``[N, C, H, W]`` → ``[N, C, H·factor, W·factor]``."""
    return (
        images if factor == 1 else F.interpolate(images, scale_factor=float(factor), mode="nearest")
    )


def _find_level(network: Growing, keys: Any) -> None:
    """Set the level from the loaded growth."""
    network.level = math.ceil(network.growth.item())
