"""Layers of drawn pictures, mixed exactly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


class Layers:
    """Layers of N pictures from front to back, each with the share of every pixel that it shows.

    Shares are whole numbers of 255ths that add up to 255. So sums over layers are exact in any
    order.

    Args:
        like: any float32 ``[N, R, R]``.
        count: number of layers.
        parts: names of the classes of a pixel.
        pixel: size of a pixel in the unit of distances, float32 ``[N, 1, 1]``.

    Attributes:
        shares: float32 ``[N, count, R, R]``, 0 to 255.
        colours: name of each layer's colour.
    """

    def __init__(self, like: Tensor, count: int, parts: tuple[str, ...], pixel: Tensor) -> None:
        self._per_pixel = -1 / pixel
        self._window = slice(None)
        self._left = torch.full_like(like, 255.0)
        self._names = parts
        self._parts: list[int] = []
        self.shares = like.new_empty(len(like), count, *like.shape[1:])
        self.colours: list[str] = []

    def cover(self, distance: Tensor) -> Tensor:
        """Return the share of each pixel inside a shape, from signed distances (overwritten)."""
        return distance.mul_(self._per_pixel).add_(0.5).clamp_(0, 1)

    def add(self, cover: Tensor, colour: str, part: str) -> None:
        """Put a layer behind all others; ``cover`` is overwritten."""
        share = self.shares[:, len(self.colours)]
        left = self.windowed(self._left)
        shown = cover.mul_(left).add_(0.5).floor_()
        left.sub_(shown)
        if self._window != slice(None):
            share.zero_()
        self.windowed(share).copy_(shown)
        self.colours.append(colour)
        self._parts.append(self._names.index(part))

    def windowed(self, x: Tensor) -> Tensor:
        """Return the window of ``[N, R, R]``."""
        return x[:, self._window, self._window]

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        """Take covers without the outer eighths of the picture inside the block."""
        low = self._left.shape[1] // 8
        self._window = slice(low, -low)
        yield
        self._window = slice(None)

    def picture(self, colours: Mapping[str, Tensor]) -> Tensor:
        """Mix the layers' colours.

        Args:
            colours: float32 ``[N, 3]`` by name, whole numbers from 0 to 255.

        Returns:
            uint8 ``[N, 3, R, R]``.
        """
        palette = torch.stack([colours[name] for name in self.colours], dim=2)
        mixed = torch.bmm(palette, self.shares.flatten(2)).div_(255).round_()
        return mixed.to(torch.uint8).unflatten(2, self.shares.shape[2:])

    def map(self) -> Tensor:
        """Return the part that each pixel shows most of, as its position, uint8 ``[N, R, R]``."""
        members = torch.tensor(self._parts) == torch.arange(len(self._names))[:, None]
        shares = torch.matmul(members.float(), self.shares.flatten(2))
        return shares.argmax(dim=1).to(torch.uint8).unflatten(1, self.shares.shape[2:])
