"""Base class of augmentations, and checks of their inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn


class Augment(nn.Module, ABC):
    """Differentiable transformation of all images that D gets, real and generated.

    It has no parameters; its state is in buffers. Random numbers are drawn before the call, a row
    per image. So neither torch.compile nor the number of processes and micro-batches changes them:

        rows = augment.draw(len(images), generator)
        logits = D(augment(images, rows))
    """

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> dict[str, Tensor]:
        """Draw rows for one use on ``count`` images.

        The number of draws does not depend on the state. Real and generated images take separate
        rows.

        Args:
            count: number of images.
            generator: a CPU generator.

        Returns:
            Tables by name, float32 ``[count, ...]`` on the CPU.
        """

    @abstractmethod
    def forward(self, images: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        """Transform each image as its row says.

        Args:
            images: ``[N, C, H, W]`` in [-1, 1], any float dtype. Half types are computed in
                float32, also under autocast.
            rows: result of :meth:`draw` for them, on their device.

        Returns:
            ``[N, C, H, W]`` in the dtype of ``images``, differentiable to any order in them.

        Raises:
            TypeError: images are not floating-point.
            ValueError: images or rows have a shape that doesn't fit.
        """


def columns(table: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Split ``[N, len(names)]`` into an ``[N]`` for each name."""
    return dict(zip(names, table.unbind(1)))


def product(first: Tensor, second: Tensor) -> Tensor:
    """Multiply small matrices ``[N, I, K]`` and ``[N, K, J]`` in float32.

    Matrix multiplication could run in TF32.
    """
    return (first[:, :, :, None] * second[:, None]).sum(2)


def check_images(images: Tensor, rows: Mapping[str, Tensor]) -> None:
    """Raise TypeError or ValueError for images that rows cannot be applied to."""
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating-point in [-1, 1], got {images.dtype}; "
            "fastgan.data.to_float converts them"
        )
    if images.ndim != 4 or not 1 <= images.shape[1] <= 4:
        raise ValueError(f"images must be [N, 1 to 4, H, W], got {list(images.shape)}")
    for name, table in rows.items():
        if len(table) != len(images):
            raise ValueError(
                f"rows must be drawn for {len(images)} images, got {len(table)} of {name!r}"
            )


def split_alpha(images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Split images into colour channels and alpha, the last of two or four channels."""
    if images.shape[1] in (1, 3):
        return images, None
    return images[:, :-1], images[:, -1:]


def join_alpha(colours: Tensor, alpha: Tensor | None) -> Tensor:
    """Undo :func:`split_alpha`."""
    return colours if alpha is None else torch.cat([colours, alpha], 1)
