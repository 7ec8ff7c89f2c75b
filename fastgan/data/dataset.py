"""Base class of image data sets, and data sets that are one tensor in memory."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from fastgan.data.inputs import InputSpec, Levels
from fastgan.errors import FastganError

MIN_RESOLUTION = 4
"""Smallest height and width of images in pixels."""
MAX_RESOLUTION = 4096
"""Largest height and width of images in pixels."""


class DataError(FastganError):
    """A data set that can't be opened or read."""


class ImageDataset(ABC):
    """Square uint8 images with class labels and random access.

    Attributes:
        name: name of the set for the user, such as ``"mnist5k"`` or a folder's name.
        resolution: height and width in pixels.
        channels: 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA).
        num_classes: number of classes, 0 for a set without labels.
        class_names: one name per class, empty for a set without labels.
        unlabelled: clause on why there are no labels where a user may expect some; else empty.
        inputs: inputs of each image by name; empty unless the set was opened for a task.
        levels: values that become black and white in files of more than 8 bits, by kind of file.
        fingerprint: SHA-256 (hex) of the set's content with its inputs. A checkpoint keeps it, so
            that a run isn't resumed on other data.
    """

    name: str
    resolution: int
    channels: int
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    unlabelled: str = ""
    inputs: Mapping[str, InputSpec] = MappingProxyType({})
    levels: Levels = ()
    fingerprint: str

    @property
    def skipped(self) -> tuple[str, ...]:
        """Files left out, each as ``"path: reason"``; empty for embedded sets."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user on how the files were read, displayed when a run begins.

        Names of settings are in backticks.
        """
        return ()

    @property
    def in_memory(self) -> bool:
        """True if a batch is a mere copy, so that preparing it ahead gains nothing."""
        return False

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def image(self, i: int) -> Tensor:
        """Return image ``i``, uint8 ``[C, H, W]``.

        Raises:
            IndexError: ``i`` is outside ``0 .. len - 1``.
        """

    @abstractmethod
    def label(self, i: int) -> int:
        """Return the class of image ``i``, 0 for a set without labels.

        Raises:
            IndexError: ``i`` is outside ``0 .. len - 1``.
        """

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return images and labels.

        Several threads may call it at once (see ``BatchLoader``).

        Args:
            indices: int64 ``[N]``, each in ``0 .. len - 1``.

        Returns:
            Images, uint8 ``[N, C, H, W]``, and labels, int64 ``[N]``.

        Raises:
            IndexError: an index is outside the set.
        """
        wanted = self._checked(indices)
        labels = torch.tensor([self.label(i) for i in wanted], dtype=torch.int64)
        if not wanted:
            return torch.empty(
                0, self.channels, self.resolution, self.resolution, dtype=torch.uint8
            ), labels
        return torch.stack([self.image(i) for i in wanted]), labels

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        """Return the inputs of images, one tensor of N rows for each entry of ``inputs``.

        Args:
            indices: int64 ``[N]``, each in ``0 .. len - 1``.

        Returns:
            Stored inputs by name (see ``InputSpec``).

        Raises:
            IndexError: an index is outside the set.
        """
        self._checked(indices)
        return {}

    def examples(self, indices: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the results of ``batch`` and ``batch_inputs``, read or rendered together.

        Args:
            indices: int64 ``[N]``, each in ``0 .. len - 1``.

        Returns:
            Images, uint8 ``[N, C, H, W]``; labels, int64 ``[N]``; stored inputs by name.

        Raises:
            IndexError: an index is outside the set.
        """
        return *self.batch(indices), self.batch_inputs(indices)

    def held_out(self) -> ImageDataset | None:
        """Return images of the same kind and with the same inputs that this set doesn't hold.

        None if there are none.
        """
        return None

    def _checked(self, indices: Tensor) -> list[int]:
        wanted: list[int] = indices.tolist()
        if wanted:
            self._check_index(min(wanted))
            self._check_index(max(wanted))
        return wanted

    def _check_index(self, i: int) -> None:
        if not 0 <= i < len(self):
            raise IndexError(f"image {i} is outside {self.name!r}, which holds {len(self)} images")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}, {len(self)} images, "
            f"{self.channels}x{self.resolution}x{self.resolution}, {self.num_classes} classes)"
        )


class InMemoryDataset(ImageDataset):
    """A data set that is one tensor.

    Args:
        name: name of the set for the user.
        images: uint8 ``[N, C, R, R]``, N at least 1.
        labels: int64 ``[N]``, indices of ``class_names``; ignored if that is empty. None means
            zeros.
        class_names: one name per class; empty for a set without labels.

    Raises:
        ValueError: images or labels of another type, shape or range, or no images.
    """

    def __init__(
        self,
        name: str,
        images: Tensor,
        labels: Tensor | None = None,
        *,
        class_names: tuple[str, ...] = (),
    ) -> None:
        for argument, value in {"images": images, "labels": labels}.items():
            if not isinstance(value, Tensor) and not (value is None and argument == "labels"):
                raise ValueError(f"{argument} must be a torch.Tensor, got {type(value).__name__}")
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
            raise ValueError(
                f"images must be uint8 [N, C, R, R], got {images.dtype} {list(images.shape)}"
            )
        if not len(images):
            raise ValueError("images must hold at least one image, got none")
        if labels is None:
            if class_names:
                raise ValueError(
                    f"labels must be int64 [{len(images)}] for {len(class_names)} classes, got None"
                )
            labels = torch.zeros(len(images), dtype=torch.int64)
        if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"labels must be int64 [{len(images)}], got {labels.dtype} {list(labels.shape)}"
            )
        if class_names and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
            raise ValueError(
                f"labels must be from 0 to {len(class_names) - 1} for {len(class_names)} "
                f"class_names, got {int(labels.min())} to {int(labels.max())}"
            )
        self.name = name
        self.resolution = images.shape[2]
        self.channels = images.shape[1]
        self.class_names = class_names
        self.num_classes = len(class_names)
        self._images = images.contiguous()
        self._labels = labels.contiguous() if class_names else torch.zeros_like(labels)
        digest = hashlib.sha256(repr((tuple(images.shape), class_names)).encode())
        digest.update(self._images.numpy().data)
        digest.update(self._labels.numpy().data)
        self.fingerprint = digest.hexdigest()

    @property
    def in_memory(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self._images)

    def image(self, i: int) -> Tensor:
        self._check_index(i)
        return self._images[i].clone()

    def label(self, i: int) -> int:
        self._check_index(i)
        return int(self._labels[i])

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        self._checked(indices)
        return self._images[indices], self._labels[indices]


def check_resolution(resolution: object) -> int:
    """Return ``resolution`` if it's a valid one.

    Raises:
        DataError: ``resolution`` isn't a whole number from 4 to 4096.
    """
    if isinstance(resolution, bool) or not isinstance(resolution, int):
        raise DataError(
            f"`resolution` must be a whole number of pixels from {MIN_RESOLUTION} to "
            f"{MAX_RESOLUTION}, got {resolution!r}."
        )
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise DataError(
            f"`resolution` must be from {MIN_RESOLUTION} to {MAX_RESOLUTION} pixels, "
            f"got {resolution}."
        )
    return resolution


def check_channels(channels: object, *, alpha: bool = False) -> int:
    """Return ``channels`` if it's a valid number of channels.

    Args:
        channels: the number to check.
        alpha: accept 2 (grey and alpha) and 4 (RGBA) too.

    Raises:
        DataError: ``channels`` isn't 1 (grey) or 3 (RGB), nor 2 or 4 with ``alpha``.
    """
    allowed = (1, 2, 3, 4) if alpha else (1, 3)
    if isinstance(channels, bool) or not isinstance(channels, int) or channels not in allowed:
        if alpha:
            raise DataError(
                f"channels must be 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA), "
                f"got {channels!r}."
            )
        raise DataError(f"channels must be 1 (grey) or 3 (RGB), got {channels!r}.")
    return channels
