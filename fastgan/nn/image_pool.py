"""Experience replay: D also sees images that G made earlier."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fastgan.nn.sync_batch_norm import all_reduce_sum


class ImagePool(nn.Module):
    """Keeps generated images of the past, and gives them back in place of new ones (Shrivastava et al. 2017, section 2.3).

    D then doesn't forget what G has stopped drawing. Some images of a batch go to a place in the pool each, and what lay
    there comes out; a place that is still empty gives nothing, and the new image is shown too.

    What the pool holds is in the state dict, and the same on all processes: each puts in the images of all.

    Args:
        size: images that it holds.
        shape: (C, H, W) of them.

    Raises:
        ValueError: a size below 1.
    """

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
        """
        Args:
            images: new ones, `[N, C, H, W]`. labels: their classes int64 `[N]`.
            swapped: bool `[N]`, which of them go into the pool.
            place: int64 `[N]`, where to; no place twice, on all processes together.

        Returns:
            Images and labels of the same shapes, some of them from the pool, without a graph.
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
    return rows.view(-1, *(1,) * (images.ndim - 1))


def _of_all_ranks(rows: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks."""
    if not dist.is_available() or not dist.is_initialized():
        return rows
    places = rows.new_zeros(dist.get_world_size(), *rows.shape)
    places[dist.get_rank()] = rows
    # bool can't be added up; each element is one rank's, so nothing is rounded
    summed = all_reduce_sum(places.to(torch.uint8) if rows.dtype == torch.bool else places)
    return summed.flatten(0, 1).to(rows.dtype)
