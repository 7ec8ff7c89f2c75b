"""Experience replay: the discriminator also sees images generated earlier."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fastgan.ops import all_reduce_sum


class ImagePool(nn.Module):
    """Pool of generated images, some of which replace new ones (Shrivastava et al. 2017, 2.3).

    D so remembers images that G no longer draws. Some images of a batch are stored at one place of
    the pool each, and the image stored there before is shown in their stead. At an empty place the
    new image is stored and shown.

    The pool is in the state dict and equal on all processes: each stores the images of all ranks.

    Args:
        size: number of images in the pool.
        shape: (C, H, W) of an image.

    Raises:
        ValueError: ``size`` is below 1.
    """

    equal_buffers: ClassVar[tuple[str, ...]] = ("images",)
    """Buffers that the trainer needn't average over processes."""
    images: Tensor
    labels: Tensor
    full: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("full", torch.zeros(size, dtype=torch.bool))

    @torch.no_grad()
    def forward(
        self, images: Tensor, labels: Tensor, *, swapped: Tensor, place: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Store some of the images and return the ones to show.

        Args:
            images: new images ``[N, C, H, W]``.
            labels: their classes, int64 ``[N]``.
            swapped: images to store, bool ``[N]``.
            place: place in the pool, int64 ``[N]``. No place occurs twice over all processes.

        Returns:
            Images and labels of the same shapes, some from the pool, without a graph.
        """
        known = swapped & self.full[place]
        shown = images.where(~_column(known, images), self.images[place].to(images.dtype))
        of_shown = labels.where(~known, self.labels[place].to(labels.dtype))
        images, labels, swapped, place = map(_of_all_ranks, (images, labels, swapped, place))
        kept = self.images[place].where(~_column(swapped, images), images.to(self.images.dtype))
        self.images[place] = kept
        self.labels[place] = self.labels[place].where(~swapped, labels.to(torch.int64))
        self.full[place] = self.full[place] | swapped
        return shown, of_shown

    def extra_repr(self) -> str:
        return f"{len(self.images)}, {tuple(self.images.shape[1:])}"


def _column(rows: Tensor, images: Tensor) -> Tensor:
    """Reshape ``[N]`` to broadcast over images ``[N, C, H, W]``."""
    return rows.view(-1, *(1,) * (images.ndim - 1))


def _of_all_ranks(rows: Tensor) -> Tensor:
    """Gather the rows of all processes, in the order of their ranks."""
    if not dist.is_available() or not dist.is_initialized():
        return rows
    places = rows.new_zeros(dist.get_world_size(), *rows.shape)
    places[dist.get_rank()] = rows
    # Booleans cannot be summed. Each element belongs to one rank, so the sum rounds nothing.
    summed = all_reduce_sum(places.to(torch.uint8) if rows.dtype == torch.bool else places)
    return summed.flatten(0, 1).to(rows.dtype)
