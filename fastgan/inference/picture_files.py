"""Files that `fastgan translate` reads and writes: pictures, maps of classes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgan.data import InputSpec
from fastgan.data._optional import require
from fastgan.data.decode import decode_map, map_header, on_white
from fastgan.data.inputs import Levels
from fastgan.data.levels import eight_bits
from fastgan.data.map_classes import check_map
from fastgan.files import write_atomic


@dataclass(frozen=True)
class Picture:
    """pixels: uint8 `[1 or 3, H, W]`, on white where it's transparent, or a map's classes `[H, W]`.

    alpha: uint8 `[H, W]`, None if it's opaque.
    """

    pixels: Tensor
    alpha: Tensor | None = None


def read_picture(path: Path, channels: int, levels: Levels = ()) -> Picture:
    """A picture turned by its EXIF orientation, its first frame; values of more than 8 bits are scaled by ``levels``.

    Raises whatever Pillow raises for what it can't decode.
    """
    picture = eight_bits(path, levels)
    see_through = picture.has_transparency_data
    alpha = _tensor(picture.convert("RGBA").getchannel("A")) if see_through else None
    pixels = _tensor(on_white(picture).convert("L" if channels == 1 else "RGB"))
    return Picture(pixels[None] if channels == 1 else pixels.permute(2, 0, 1), alpha)


def read_map(path: Path, spec: InputSpec) -> Picture:
    """A map of class indices.

    Raises DataError for a picture that isn't one, and for a class that there isn't; whatever Pillow raises for what it can't
    decode.
    """
    map_header(path)
    indices = decode_map(path)
    check_map(indices, str(path), classes=len(spec.names), void=spec.void)
    return Picture(indices)


def write_picture(path: Path, pixels: Tensor, alpha: Tensor | None) -> None:
    """Writes uint8 `[1 or 3, H, W]` as PNG, with the alpha of what it was made of, enlarged as that was."""
    pil = require("PIL.Image", "pillow", purpose="Writing a PNG file")
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    picture = pil.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if alpha is not None:
        channel = pil.fromarray(alpha.numpy())
        if channel.size != picture.size:
            channel = channel.resize(picture.size, pil.Resampling.BICUBIC)
        picture.putalpha(channel)
    content = io.BytesIO()
    picture.save(content, format="PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, [content.getvalue()])


def _tensor(picture: Any) -> Tensor:
    return torch.from_numpy(np.array(picture, dtype=np.uint8))
