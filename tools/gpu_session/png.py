"""A PNG file of a grid of images, with nothing but the standard library."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor


def grid(images: Tensor, columns: int) -> Tensor:
    """Return images ``[N, C, H, W]`` side by side: ``[C, rows * H, columns * W]``."""
    count, channels, height, width = images.shape
    rows = -(-count // columns)
    padded = torch.cat([images, images.new_zeros(rows * columns - count, *images.shape[1:])])
    placed = padded.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    return placed.reshape(channels, rows * height, columns * width)


def save_png(path: Path, image: Tensor) -> None:
    """Write an RGB image ``[3, H, W]`` in [-1, 1]."""
    levels = ((image.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    _, height, width = levels.shape
    rows = levels.permute(1, 2, 0).reshape(height, width * 3)
    # Each row begins with the number of its filter: none.
    filtered = torch.cat([torch.zeros(height, 1, dtype=torch.uint8), rows], 1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [
        (b"IHDR", header),
        (b"IDAT", zlib.compress(bytes(filtered.flatten().tolist()), 6)),
        (b"IEND", b""),
    ]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in parts:
            checksum = struct.pack(">I", zlib.crc32(kind + data))
            file.write(struct.pack(">I", len(data)) + kind + data + checksum)
