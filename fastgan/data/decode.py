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

_ORIENTATION = 0x0112  # of EXIF
_QUARTER_TURNS = 5  # the orientations from it on exchange width and height
_LOSSY = frozenset({"JPEG", "MPO", "JPEG2000", "WEBP", "AVIF"})
_MAP_MODES = frozenset({"1", "L", "P"})
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
DEFAULT = Reading()


class Header(NamedTuple):
    """Width and height as shown, whether the file is grey, and the kinds of its pictures of more than 8 bits.

    kinds: one for each picture that an image is made of, None for 8 bits.
    """

    width: int
    height: int
    grey: bool
    kinds: tuple[Kind | None, ...]


def image_header(source: Path | BinaryIO) -> Header:
    """The header of an image file, without decoding it.

    Raises whatever Pillow raises for a file that it can't open.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    with pil.open(source) as picture:
        width, height = picture.size
        # Without the first question Pillow decodes a PNG file in search of it.
        if "exif" in picture.info and picture.getexif().get(_ORIENTATION, 1) >= _QUARTER_TURNS:
            width, height = height, width
        return Header(width, height, picture.mode in _GREY_MODES, (kind_of(picture),))


def map_header(path: Path) -> tuple[int, int]:
    """Width and height of a map of class indices, without decoding it.

    Raises DataError for a file that isn't 8-bit grey or of a palette, or whatever Pillow raises for one that it
    can't open.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    with pil.open(path) as picture:
        if picture.format in _LOSSY:
            raise DataError(
                f"The map {str(path)!r} is a {picture.format} file, whose compression changes indices: "
                f"save it as PNG."
            )
        if picture.mode not in _MAP_MODES:
            raise DataError(
                f"The map {str(path)!r} is a picture of mode {picture.mode}, where the index of a class is expected "
                f"in each pixel: save it as an 8-bit grey PNG or one with a palette."
            )
        return picture.width, picture.height


def decode_map(source: Path | BinaryIO) -> Tensor:
    """A map of class indices as uint8 ``[H, W]``; of a palette the indices count, not the colours.

    Raises whatever Pillow raises for a file that it can't decode.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    with pil.open(source) as opened:
        return torch.from_numpy(np.array(opened, dtype=np.uint8))


def fit_map(indices: Tensor, resolution: int, *, fit: Fit = "crop", void: int = 0) -> Tensor:
    """``[H, W]`` to ``[resolution, resolution]``, fitted as ``decode_image`` fits images, by the nearest pixel.

    ``void`` is the index around a padded map.
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
    """Places of the ``count`` pixels out of ``length`` that are nearest to evenly spread ones."""
    return ((torch.arange(count) + 0.5) * (length / count)).long().clamp(max=length - 1)


def decode_image(
    source: Path | BinaryIO,
    resolution: int,
    channels: int,
    *,
    reading: Reading = DEFAULT,
    levels: Levels = (),
) -> Tensor:
    """One image file as uint8 ``[channels, resolution, resolution]``.

    EXIF orientation is applied, values of more than 8 bits are scaled by ``levels``. Alpha is composited on white, or
    kept if there are 2 or 4 channels. ``reading.fit`` makes it a square: ``crop`` cuts the largest centred one out,
    ``pad`` puts the whole on black, ``stretch`` changes the proportions. It's resized with an antialiased Lanczos
    filter (not at all if it already has the size). Of an animation the first frame counts.

    Raises whatever Pillow raises for a file that it can't decode.
    """
    return _fitted(_as_shown(source, channels, levels), resolution, channels, reading.fit)


def decode_halves(
    source: Path | BinaryIO,
    resolution: int,
    channels: int,
    *,
    reading: Reading = DEFAULT,
    levels: Levels = (),
) -> tuple[Tensor, Tensor]:
    """The left and the right half of one image file, each as ``decode_image`` gives a whole one."""
    picture = _as_shown(source, channels, levels)
    middle = picture.width // 2
    left = picture.crop((0, 0, middle, picture.height))
    right = picture.crop((middle, 0, 2 * middle, picture.height))
    fit = reading.fit
    return _fitted(left, resolution, channels, fit), _fitted(right, resolution, channels, fit)


def _as_shown(source: Path | BinaryIO, channels: int, levels: Levels) -> Any:
    picture = eight_bits(source, levels)
    if channels in (2, 4):
        return picture.convert("RGBA").convert(_MODES[channels])
    return on_white(picture).convert(_MODES[channels])


def _fitted(picture: Any, resolution: int, channels: int, fit: Fit) -> Tensor:
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
    """``picture`` of 8 bits as grey or colour without alpha."""
    if not picture.has_transparency_data:
        return picture
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    picture = picture.convert("RGBA")
    white = pil.new("RGBA", picture.size, (255, 255, 255, 255))
    return pil.alpha_composite(white, picture)


def unreadable_reason(error: Exception) -> str:
    """Why a file was left out, in a few words and the same on every run."""
    if type(error).__name__ == "UnidentifiedImageError":  # its message holds a memory address
        return "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
