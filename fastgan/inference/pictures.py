"""Pictures for networks that translate, from files and Pillow images; PNG files of the results."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgan.data import InputSpec, Reading, to_float
from fastgan.data._optional import require
from fastgan.data.decode import (
    decode_image,
    decode_map,
    map_header,
    on_white,
    unreadable_reason,
)
from fastgan.data.inputs import Levels
from fastgan.data.levels import eight_bits
from fastgan.data.map_classes import check_map
from fastgan.data.reading import levels_of
from fastgan.errors import FastganError
from fastgan.files import write_atomic
from fastgan.inference.errors import InferenceError
from fastgan.recipes import ImageSpec

OPAQUE = 255


@dataclass(frozen=True)
class Picture:
    """A picture as a network that translates takes it.

    Attributes:
        pixels: uint8 ``[1 or 3, H, W]``, on white where it is transparent; classes ``[H, W]`` of a
            map.
        alpha: uint8 ``[H, W]``, None for an opaque picture.
    """

    pixels: Tensor
    alpha: Tensor | None = None

    @property
    def is_opaque(self) -> bool:
        """True if no pixel is transparent."""
        return self.alpha is None or bool((self.alpha == OPAQUE).all())


@contextmanager
def unreadable_as_error(what: str, path: Path) -> Iterator[None]:
    """Raise InferenceError for a file that the ``with`` block can't decode.

    Errors of fastgan pass as they are.
    """
    try:
        yield
    except FastganError:
        raise
    # Decoders raise nearly anything on broken files.
    except Exception as error:
        raise InferenceError(
            f"The {what} {str(path)!r} can't be read: {unreadable_reason(error)}."
        ) from error


def read_picture(path: Path, channels: int, levels: Levels = ()) -> Picture:
    """Read the first frame of a picture file, turned by its EXIF orientation.

    Values of more than 8 bits are scaled by ``levels``. Raises whatever Pillow raises for a file
    that it can't decode.
    """
    return _with_channels(eight_bits(path, levels), channels)


def read_square(path: str | Path, spec: ImageSpec, reading: Reading) -> tuple[Tensor, list[str]]:
    """Read a file as one of a network's images, and lines about its values.

    Returns:
        float32 ``[1, C, R, R]`` in [-1, 1], and the lines.

    Raises:
        DataError: Pillow is missing.
        InferenceError: the file can't be read.
    """
    path = Path(path)
    with unreadable_as_error("image", path):
        levels, notes = levels_of([path], reading)
        stored = decode_image(path, spec.resolution, spec.channels, reading=reading, levels=levels)
    return to_float(stored)[None], notes


def read_map(path: Path, spec: InputSpec) -> Picture:
    """Read a map of class indices.

    Raises:
        DataError: the file is no map, or holds a class that the spec doesn't have.
        Exception: whatever Pillow raises for a file that it can't decode.
    """
    map_header(path)
    indices = decode_map(path)
    check_map(indices, str(path), classes=len(spec.names), void=spec.void)
    return Picture(indices)


def picture_of(image: Any, spec: InputSpec, levels: Levels = ()) -> Picture:
    """Return a Pillow image as a picture, turned by its EXIF orientation.

    The indices of a map stay as they are.

    Raises:
        DataError: a map holds a class that the spec doesn't have.
        InferenceError: a map isn't an 8-bit grey image or one with a palette.
    """
    if spec.kind == "map":
        if image.mode not in ("1", "L", "P"):
            raise InferenceError(
                f"A map must be an image of mode L or P, with a class in each pixel, "
                f"got mode {image.mode}."
            )
        indices = torch.from_numpy(np.array(image, dtype=np.uint8))
        check_map(indices, "map", classes=len(spec.names), void=spec.void)
        return Picture(indices)
    ops = require("PIL.ImageOps", "pillow", purpose="Taking a Pillow image")
    turned = ops.exif_transpose(image)
    if turned.mode.startswith(("I", "F")):
        # TIFF keeps every value, and the reader of files scales it.
        content = io.BytesIO()
        turned.save(content, format="TIFF")
        turned = eight_bits(content, levels)
    return _with_channels(turned, spec.channels)


def image_of(pixels: Tensor, alpha: Tensor | None = None) -> Any:
    """Return uint8 ``[1 or 3, H, W]`` as a Pillow image, with the alpha of the original if given.

    Alpha of another size is resized to the image.
    """
    pil = require("PIL.Image", "pillow", purpose="Making a Pillow image")
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    image = pil.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if alpha is not None:
        channel = pil.fromarray(alpha.numpy())
        if channel.size != image.size:
            channel = channel.resize(image.size, pil.Resampling.BICUBIC)
        image.putalpha(channel)
    return image


def write_picture(path: Path, pixels: Tensor, alpha: Tensor | None) -> None:
    """Write uint8 ``[1 or 3, H, W]`` as PNG, with the alpha of the original if given."""
    content = io.BytesIO()
    image_of(pixels, alpha).save(content, format="PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, [content.getvalue()])


def _with_channels(image: Any, channels: int) -> Picture:
    alpha = _tensor(image.convert("RGBA").getchannel("A")) if image.has_transparency_data else None
    pixels = _tensor(on_white(image).convert("L" if channels == 1 else "RGB"))
    return Picture(pixels[None] if channels == 1 else pixels.permute(2, 0, 1), alpha)


def _tensor(image: Any) -> Tensor:
    return torch.from_numpy(np.array(image, dtype=np.uint8))
