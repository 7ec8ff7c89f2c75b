"""Picture files of 16 bits a channel, which Pillow can't write."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def write_png16(path: Path, values: np.ndarray) -> None:
    """Write a PNG file of uint16 values ``[H, W, C]``."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def write_tiff16(path: Path, values: np.ndarray, order: str) -> None:
    """Write an uncompressed TIFF file of uint16 values ``[H, W, 3]``.

    order: "<" or ">", the byte order.
    """
    height, width, _ = values.shape
    data = values.astype(f"{order}u2").tobytes()
    count = 9
    beyond = 8 + 2 + 12 * count + 4
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, beyond),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, beyond + 6),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]
    out = (
        (b"II" if order == "<" else b"MM")
        + struct.pack(f"{order}HI", 42, 8)
        + struct.pack(f"{order}H", count)
    )
    for tag, kind, number, value in entries:
        wide = kind == 4 or number > 1
        content = struct.pack(f"{order}I", value) if wide else struct.pack(f"{order}HH", value, 0)
        out += struct.pack(f"{order}HHI", tag, kind, number) + content
    path.write_bytes(
        out + struct.pack(f"{order}I", 0) + struct.pack(f"{order}3H", 16, 16, 16) + data
    )


def write_grey16(path: Path, values: np.ndarray) -> None:
    """Write a grey file of uint16 values ``[H, W]``, PNG or TIFF by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint16)).save(path)


def write_values(path: Path, values: np.ndarray) -> None:
    """Write a TIFF file of int32 or float32 values ``[H, W]``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def ramp(high: int, channels: int = 0, low: int = 0) -> np.ndarray:
    """Return evenly spread uint16 values from ``low`` to ``high``.

    Their shape is ``[64, 64]``, or ``[64, 64, channels]`` if ``channels`` isn't 0.
    """
    values = np.linspace(low, high, 4096).round().astype(np.uint16).reshape(64, 64)
    return values if not channels else np.repeat(values[..., None], channels, axis=2)
