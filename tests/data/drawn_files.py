"""Picture files for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RED, WHITE = (255, 0, 0), (255, 255, 255)


def write(
    path: Path, colour: Any = RED, size: tuple[int, int] = (8, 8), mode: str = "RGB", **options: Any
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)


def noise(path: Path, seed: int = 0, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def corrupt(path: Path) -> None:
    """Write a JPEG whose header is intact and whose data stops in the middle."""
    noise(path.with_suffix(".png"), size=(64, 64))
    Image.open(path.with_suffix(".png")).save(path, quality=95)
    path.with_suffix(".png").unlink()
    path.write_bytes(path.read_bytes()[:2000])
