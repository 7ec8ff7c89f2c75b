"""What progressive growing does to networks (Karras et al. 2018, section 2 and figure 2).

A growing network holds the layers of all resolutions and runs those up to a level: level 0 is the lowest resolution, each
level above doubles it. A new level fades in: what G draws, and what D makes of an image, goes over from the level below,
enlarged or averaged down, to the new one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Growing(nn.Module):
    """A network that grows.

    ``growth`` says how far it is: 2 for the levels 0 to 2, 2.3 while level 3 fades in with a weight of 0.3. It's a float32
    buffer, so that a state dict knows; ``level`` is the highest level in use. A network is made fully grown.

    Args:
        channels: of the images.
        lowest, resolution: of level 0 and of the last one; the second is the first times a power of two.
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
        """Sets ``growth``. Raises ValueError unless it is from 0 to the number of levels less 1."""
        if not 0 <= growth <= len(self.resolutions) - 1:
            raise ValueError(
                f"growth must be from 0 to {len(self.resolutions) - 1}, got {growth!r}"
            )
        self.growth.fill_(growth)
        # as the buffer rounds it, without waiting for a device
        self.level = math.ceil(torch.tensor(growth, dtype=torch.float32, device="cpu").item())

    @property
    def current(self) -> int:
        """The resolution of the level in use."""
        return self.resolutions[self.level]

    def blend(self, below: Tensor, new: Tensor) -> Tensor:
        """From ``below`` to ``new`` as the level fades in, exact at both ends; of the same shape."""
        fade = self.growth - (self.level - 1)
        return torch.lerp(below.to(new.dtype), new, fade.to(new.dtype))

    def shrunk(self, images: Tensor) -> Tensor:
        """Images of the full resolution averaged down to the current one; those of the current one as they are.

        Raises ValueError for images ``[N, channels, H, W]`` of another size.
        """
        sizes = [(self.channels, r, r) for r in (self.current, self.resolution)]
        if images.ndim != 4 or tuple(images.shape[1:]) not in sizes:
            raise ValueError(
                f"images must have shape [N, {self.channels}, {self.current}, {self.current}], the current resolution, "
                f"or [N, {self.channels}, {self.resolution}, {self.resolution}], got {list(images.shape)}"
            )
        factor = images.shape[2] // self.current
        return images if factor == 1 else F.avg_pool2d(images, factor)

    def enlarged(self, images: Tensor) -> Tensor:
        """Images of the current resolution at the full one, each pixel repeated."""
        return repeated(images, self.resolution // self.current)

    def reals(self, images: Tensor) -> Tensor:
        """Real images of the full resolution as this level's: averaged down, and faded like generated ones."""
        images = self.shrunk(images)
        if self.level == 0:
            return images
        return self.blend(repeated(F.avg_pool2d(images, 2), 2), images)

    def extra_repr(self) -> str:
        return f"{self.resolutions[0]} to {self.resolution}, level={self.level}"


def repeated(images: Tensor, factor: int) -> Tensor:
    """``[N, C, H, W]`` → ``[N, C, H·factor, W·factor]``, each pixel repeated."""
    return (
        images if factor == 1 else F.interpolate(images, scale_factor=float(factor), mode="nearest")
    )


def _find_level(network: Growing, keys: Any) -> None:
    network.level = math.ceil(network.growth.item())
