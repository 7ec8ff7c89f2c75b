"""What an augmentation is: what it draws, and what it does to images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn


class Augment(nn.Module, ABC):
    """Transforms all that D sees, real and generated, differentiably; it has no parameters, and its state is in buffers.

    What is random is drawn before, one row per image, so that neither torch.compile nor the number of processes and
    micro-batches changes it:

        rows = augment.draw(len(images), generator)
        logits = D(augment(images, rows))
    """

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> dict[str, Tensor]:
        """Rows for one use on ``count`` images, float32 ``[count, ...]`` on the CPU from a CPU ``generator``.

        As many numbers are drawn whatever the state is. Real and generated images take rows of their own.
        """

    @abstractmethod
    def forward(self, images: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        """Transforms each image as its row says.

        Args:
            images: ``[N, C, H, W]`` in [-1, 1], any float dtype; half types are computed in float32, also under autocast.
            rows: what ``draw`` gave for them, on their device.

        Returns:
            ``[N, C, H, W]``, of the dtype of ``images``; differentiable to any order in them.

        Raises:
            TypeError: images that aren't floating-point.
            ValueError: images or rows of a shape that doesn't fit.
        """


def columns(table: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """``[N, len(names)]`` as one ``[N]`` by name."""
    return dict(zip(names, table.unbind(1)))


def product(first: Tensor, second: Tensor) -> Tensor:
    """``[N, I, K]`` times ``[N, K, J]`` for small ones: float32 also where matrices are multiplied as TF32."""
    return (first[:, :, :, None] * second[:, None]).sum(2)


def check_images(images: Tensor, rows: Mapping[str, Tensor]) -> None:
    """Raises TypeError or ValueError for images that no row can be applied to."""
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating-point in [-1, 1], got {images.dtype}; see fastgan.data.to_float"
        )
    if images.ndim != 4 or not 1 <= images.shape[1] <= 4:
        raise ValueError(f"images must be [N, 1 to 4, H, W], got {list(images.shape)}")
    for name, table in rows.items():
        if len(table) != len(images):
            raise ValueError(
                f"rows must be drawn for as many images as come, got {len(table)} of {name!r} for {len(images)} images"
            )


def split_alpha(images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Colour channels, and the alpha that is the last of two or four channels."""
    if images.shape[1] in (1, 3):
        return images, None
    return images[:, :-1], images[:, -1:]


def join_alpha(colours: Tensor, alpha: Tensor | None) -> Tensor:
    """Undoes ``split_alpha``."""
    return colours if alpha is None else torch.cat([colours, alpha], 1)
