"""Conversion between stored images (uint8) and networks' float32 in [-1, 1]; grids, PNG files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastgan.data._optional import require
from fastgan.data.dataset import DataError
from fastgan.data.inputs import InputSpec
from fastgan.files import replacing

SQUARE = 8
"""Side in pixels of a square of the checkerboard behind alpha."""
LIGHT, DARK = 204, 153
"""Grey values of the checkerboard behind alpha, 0 to 255."""


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 to float32 in [-1, 1]: ``x / 127.5 - 1``.

    Args:
        images: uint8 of any shape.

    Returns:
        float32 of the same shape.

    Raises:
        TypeError: the dtype isn't uint8.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}")
    return images.to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """Convert floats in [-1, 1] to uint8: ``round((x + 1) * 127.5)``.

    Values outside the range are clamped; NaN becomes mid grey. It inverts ``to_float`` exactly.

    Args:
        images: any shape and floating-point dtype.

    Returns:
        uint8 of the same shape.

    Raises:
        TypeError: the dtype isn't floating-point.
    """
    if not images.is_floating_point():
        raise TypeError(f"images must be floating-point, got {images.dtype}")
    scaled = torch.nan_to_num(images.detach().to(torch.float32), nan=0.0).add(1.0).mul_(127.5)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)


def to_batch(inputs: Mapping[str, Tensor], specs: Mapping[str, InputSpec]) -> dict[str, Tensor]:
    """Convert stored inputs to their form in a batch (see ``InputSpec``), on their device.

    Args:
        inputs: stored inputs by name.
        specs: their descriptions by name.

    Returns:
        Converted inputs by name.
    """
    convert = {
        "image": to_float,
        "attributes": Tensor.float,
        "caption": Tensor.long,
    }
    return {
        name: _classes(value, specs[name].void)
        if specs[name].kind == "map"
        else convert[specs[name].kind](value)
        for name, value in inputs.items()
    }


def _classes(stored: Tensor, void: int | None) -> Tensor:
    classes = stored.long()
    return classes if void is None else classes.masked_fill(stored == void, -1)


def resize(images: Tensor, resolution: int) -> Tensor:
    """Resize uint8 ``[N, C, H, W]`` to ``[N, C, resolution, resolution]``, antialiased bicubic."""
    if images.shape[-2:] == (resolution, resolution):
        return images
    size = (resolution, resolution)
    out = F.interpolate(images.to(torch.float32), size=size, mode="bicubic", antialias=True)
    return out.round_().clamp_(0, 255).to(torch.uint8)


def _over_checkerboard(images: Tensor) -> Tensor:
    """Composite uint8 ``[N, 2 or 4, H, W]`` over squares in two greys; drop alpha."""
    places = [torch.arange(length, device=images.device) // SQUARE for length in images.shape[2:]]
    board = torch.where((places[0][:, None] + places[1]) % 2 == 0, LIGHT, DARK).float()
    alpha = images[:, -1:].float() / 255
    return (images[:, :-1].float() * alpha + board * (1 - alpha)).round_().to(torch.uint8)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Convert images to grey or RGB.

    Grey is repeated; RGB becomes its Rec. 601 luma. Alpha is composited over a checkerboard.

    Args:
        images: uint8 ``[N, 1 to 4, H, W]``; the last of 2 or 4 channels is alpha.
        channels: 1 or 3.

    Returns:
        uint8 ``[N, channels, H, W]``.
    """
    if images.shape[1] in (2, 4):
        images = _over_checkerboard(images)
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1).contiguous()
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    luma = (images.to(torch.float32) * weights).sum(dim=1, keepdim=True)
    return luma.round_().clamp_(0, 255).to(torch.uint8)


def image_grid(images: Tensor, columns: int, *, padding: int = 2) -> Tensor:
    """Lay out images row by row on black.

    Args:
        images: uint8 ``[N, 1 to 4, H, W]``, N at least 1. Alpha is composited over a checkerboard.
        columns: images per row, at least 1; fewer images than that make one shorter row.
        padding: pixels between and around the images.

    Returns:
        uint8 ``[3, rows * (H + padding) + padding, columns * (W + padding) + padding]``.

    Raises:
        TypeError: the dtype isn't uint8.
        ValueError: ``images`` has another shape or no image, or ``columns`` is below 1.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}")
    if images.ndim != 4 or images.shape[0] < 1 or not 1 <= images.shape[1] <= 4:
        raise ValueError(
            f"images must be [N, 1 to 4, H, W] with N at least 1, got {list(images.shape)}"
        )
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    images = with_channels(images, 3)
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    grid = images.new_zeros(
        channels, rows * (height + padding) + padding, columns * (width + padding) + padding
    )
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        top, left = padding + row * (height + padding), padding + column * (width + padding)
        grid[:, top : top + height, left : left + width] = image
    return grid


def save_png(path: str | os.PathLike[str], image: Tensor) -> None:
    """Write an image as a PNG file and create its folder if needed.

    The file appears whole or not at all: a temporary file is written beside it and renamed.

    Args:
        path: file to write; an existing one is replaced.
        image: uint8 ``[1 to 4, H, W]``; the last of 2 or 4 channels is alpha.

    Raises:
        TypeError: the dtype isn't uint8.
        ValueError: ``image`` has another shape.
        DataError: the file can't be written, or Pillow is missing.
    """
    if image.dtype != torch.uint8:
        raise TypeError(f"image must be uint8, got {image.dtype}")
    if image.ndim != 3 or not 1 <= image.shape[0] <= 4:
        raise ValueError(f"image must be [1 to 4, H, W], got {list(image.shape)}")
    pil = require("PIL.Image", "pillow", purpose="Writing a PNG file")
    pixels = image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
    picture = pil.fromarray(pixels[:, :, 0] if image.shape[0] == 1 else pixels)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            picture.save(temporary, format="PNG")
    except OSError as error:
        raise DataError(
            f"The image {str(target)!r} can't be written: {error.strerror or error}."
        ) from error
