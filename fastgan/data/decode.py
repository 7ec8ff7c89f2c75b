"""Decode one image file to a square uint8 tensor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastgan.data._optional import require
from fastgan.data.dataset import DataError
from fastgan.data.levels import Kind, Levels, eight_bits, kind_of
from fastgan.data.reading import Fit, Reading, padded_box

# EXIF tag.
_ORIENTATION = 0x0112
# Orientations from this one on exchange width and height.
_QUARTER_TURNS = 5
_LOSSY = frozenset({"JPEG", "MPO", "JPEG2000", "WEBP", "AVIF"})
_MAP_MODES = frozenset({"1", "L", "P"})
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
DEFAULT = Reading()


class Header(NamedTuple):
    """Size and kind of the files of an image."""

    width: int
    """Width in pixels after rotation by the EXIF orientation."""
    height: int
    """Height in pixels after rotation by the EXIF orientation."""
    grey: bool
    """True if the file is stored as grey."""
    kinds: tuple[Kind | None, ...]
    """Kind of the image's file and of those of inputs that are images, None for 8 bits."""


def image_header(source: Path | BinaryIO) -> Header:
    """Read the header of an image file without decoding it.

    Raises:
        Exception: Pillow can't open the file; decoders raise errors of nearly any type.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    with pil.open(source) as picture:
        width, height = picture.size
        # The first test prevents Pillow from decoding a PNG file in search of EXIF data.
        if "exif" in picture.info and picture.getexif().get(_ORIENTATION, 1) >= _QUARTER_TURNS:
            width, height = height, width
        return Header(width, height, picture.mode in _GREY_MODES, (kind_of(picture),))


def map_header(path: Path) -> tuple[int, int]:
    """Read width and height of a map of class indices without decoding it.

    Raises:
        DataError: the file has lossy compression, or is neither 8-bit grey nor of a palette.
        Exception: Pillow can't open the file; decoders raise errors of nearly any type.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    with pil.open(path) as picture:
        if picture.format in _LOSSY:
            raise DataError(
                f"The map {str(path)!r} is a {picture.format} file, whose compression changes "
                f"indices: save it as PNG."
            )
        if picture.mode not in _MAP_MODES:
            raise DataError(
                f"The map {str(path)!r} must have the index of a class in each pixel, got a "
                f"picture of mode {picture.mode}: save it as an 8-bit grey PNG or one with a "
                f"palette."
            )
        return picture.width, picture.height


def decode_map(source: Path | BinaryIO) -> Tensor:
    """Decode a map of class indices to uint8 ``[H, W]``; of a palette the indices, not the colours.

    Raises:
        Exception: Pillow can't decode the file; decoders raise errors of nearly any type.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    with pil.open(source) as opened:
        return torch.from_numpy(np.array(opened, dtype=np.uint8))


def fit_map(indices: Tensor, resolution: int, *, fit: Fit = "crop", void: int = 0) -> Tensor:
    """Fit a map into a square as ``decode_image`` fits images, by the nearest pixel.

    Args:
        indices: ``[H, W]``.
        resolution: side of the square.
        fit: way to make the map square.
        void: index around a padded map.

    Returns:
        ``[resolution, resolution]`` of the same dtype.
    """
    height, width = indices.shape
    if fit == "pad":
        box = padded_box(width, height, resolution)
        rows, columns = _nearest(box.height, height), _nearest(box.width, width)
        square = indices.new_full((resolution, resolution), void)
        inner = indices[rows[:, None], columns]
        square[box.top : box.top + box.height, box.left : box.left + box.width] = inner
        return square
    if fit == "stretch":
        return indices[_nearest(resolution, height)[:, None], _nearest(resolution, width)]
    side = min(height, width)
    nearest = _nearest(resolution, side)
    rows, columns = nearest + (height - side) // 2, nearest + (width - side) // 2
    return indices[rows[:, None], columns]


def _nearest(count: int, length: int) -> Tensor:
    """Return the positions of ``count`` pixels out of ``length``, nearest to evenly spread ones."""
    return ((torch.arange(count) + 0.5) * (length / count)).long().clamp(max=length - 1)


def decode_image(
    source: Path | BinaryIO,
    resolution: int,
    channels: int,
    *,
    reading: Reading = DEFAULT,
    levels: Levels = (),
) -> Tensor:
    """Decode the first frame of an image file to a square.

    EXIF orientation is applied, and values of more than 8 bits are scaled by ``levels``. Alpha is
    composited on white. An antialiased Lanczos filter resizes the square unless it already has the
    size.

    Args:
        source: the file.
        resolution: side of the square.
        channels: 1 or 3, or 2 or 4 to keep alpha.
        reading: settings; ``fit`` is the way to make the picture square.
        levels: values that become black and white, by kind of file.

    Returns:
        uint8 ``[channels, resolution, resolution]``.

    Raises:
        Exception: Pillow can't decode the file; decoders raise errors of nearly any type.
    """
    return _fit(_with_mode(source, channels, levels), resolution, channels, reading.fit)


def decode_halves(
    source: Path | BinaryIO,
    resolution: int,
    channels: int,
    *,
    reading: Reading = DEFAULT,
    levels: Levels = (),
) -> tuple[Tensor, Tensor]:
    """Decode the left and the right half of an image file, each as ``decode_image`` does."""
    picture = _with_mode(source, channels, levels)
    middle = picture.width // 2
    left = picture.crop((0, 0, middle, picture.height))
    right = picture.crop((middle, 0, 2 * middle, picture.height))
    fit = reading.fit
    return _fit(left, resolution, channels, fit), _fit(right, resolution, channels, fit)


def _with_mode(source: Path | BinaryIO, channels: int, levels: Levels) -> Any:
    picture = eight_bits(source, levels)
    if channels in (2, 4):
        return picture.convert("RGBA").convert(_MODES[channels])
    return on_white(picture).convert(_MODES[channels])


def _fit(picture: Any, resolution: int, channels: int, fit: Fit) -> Tensor:
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    square = (resolution, resolution)
    if picture.size != square:
        if fit == "pad":
            box = padded_box(picture.width, picture.height, resolution)
            canvas = pil.new(picture.mode, square)
            canvas.paste(_resized(picture, (box.width, box.height), pil), (box.left, box.top))
            picture = canvas
        else:
            # Not resize(box=...), whose filter reaches over the edge of the box.
            picture = _resized(_centre(picture) if fit == "crop" else picture, square, pil)
    pixels = torch.from_numpy(np.array(picture, dtype=np.uint8))
    return pixels.reshape(resolution, resolution, channels).permute(2, 0, 1).contiguous()


def _resized(picture: Any, size: tuple[int, int], pil: Any) -> Any:
    return picture if picture.size == size else picture.resize(size, pil.Resampling.LANCZOS)


def _centre(picture: Any) -> Any:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def on_white(picture: Any) -> Any:
    """Composite a Pillow picture of 8 bits a channel on white; return one without transparency."""
    if not picture.has_transparency_data:
        return picture
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    picture = picture.convert("RGBA")
    white = pil.new("RGBA", picture.size, (255, 255, 255, 255))
    return pil.alpha_composite(white, picture)


def unreadable_reason(error: Exception) -> str:
    """Return a short reason for leaving a file out, the same on every run."""
    # The message of this error holds a memory address.
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
