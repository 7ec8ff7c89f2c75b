"""Patches of real photographs that scikit-learn and scikit-image ship."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgan.data._optional import require
from fastgan.data.dataset import DataError
from fastgan.data.drawn import DrawnDataset
from fastgan.data.images import resize, with_channels

PHOTOS: dict[str, tuple[str, str]] = {
    "china.jpg": ("scikit-learn", "CC BY 2.0, danielbuechele"),
    "flower.jpg": ("scikit-learn", "CC BY 2.0, vultilion"),
    "astronaut.png": ("scikit-image", "public domain, NASA"),
    "chelsea.png": ("scikit-image", "CC0, Stefan van der Walt"),
    "coffee.png": ("scikit-image", "CC0, Rachel Michetti"),
    "rocket.jpg": ("scikit-image", "public domain, SpaceX"),
}
"""Photographs, the packages that ship them, and their licences."""
HELD_OUT_PHOTOS = ("flower.jpg", "coffee.png")
"""Photographs of the held-out patches; the others are for training."""

_FOLDERS = {"scikit-learn": ("sklearn", "datasets/images"), "scikit-image": ("skimage", "data")}


class PhotosDataset(DrawnDataset):
    """Square patches of photographs, of any place and size from the resolution to the whole height.

    Patch ``i`` depends on ``(seed, i)`` and the resolution. The held-out patches are of other
    photographs (see ``HELD_OUT_PHOTOS``). There are no labels and no inputs.

    Args:
        held_out: take the held-out photographs.
        options: those of ``DrawnDataset``; the resolution is 16 to 300.

    Raises:
        DataError: an argument is out of range, or a package is missing.
    """

    name = "photos"
    # Raise it whenever the same index would be another patch.
    version = 1

    def __init__(self, *, held_out: bool = False, **options: Any) -> None:
        super().__init__(None, **options)
        names = [name for name in PHOTOS if (name in HELD_OUT_PHOTOS) == held_out]
        self._photos = [_photo(name) for name in names]
        self._side = min(min(photo.shape[1:]) for photo in self._photos)
        if self.resolution > self._side:
            raise DataError(
                f"`resolution` must be at most {self._side} for photos, got {self.resolution}."
            )
        # Decoders of JPEG may differ in the last bit.
        digest = hashlib.sha256(self.fingerprint.encode())
        for photo in self._photos:
            digest.update(photo.numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def label(self, i: int) -> int:
        self._check_index(i)
        return 0

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        draws = self._draws(self._checked(indices), 4)
        images = torch.empty(
            len(draws), self.channels, self.resolution, self.resolution, dtype=torch.uint8
        )
        for row, (which, size, x, y) in enumerate(draws.tolist()):
            photo = self._photos[int(which * len(self._photos))]
            height, width = photo.shape[1:]
            least, most = self.resolution, min(height, width)
            # Small patches are as frequent as large ones.
            side = int(least + (most - least + 1) * size * size)
            left, top = int(x * (width - side + 1)), int(y * (height - side + 1))
            patch = photo[None, :, top : top + side, left : left + side]
            images[row] = with_channels(resize(patch, self.resolution), self.channels)[0]
        return images, torch.zeros(len(draws), dtype=torch.int64)

    def held_out(self) -> PhotosDataset:
        """Return 1,000 patches of the held-out photographs."""
        return PhotosDataset(held_out=True, **self._held_out_options())


@lru_cache
def _photo(name: str) -> Tensor:
    """Return a photograph, uint8 ``[3, H, W]``."""
    package, _ = PHOTOS[name]
    module, folder = _FOLDERS[package]
    # Importing scikit-image would take its dependencies too.
    spec = importlib.util.find_spec(module)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    path = Path(places[0], folder, name) if places else Path(name)
    if not path.is_file():
        raise DataError(
            f"The data set 'photos' needs {name} of {package}, which isn't there: install it with "
            f"pip install 'fastgan[photos]'."
        )
    image = require("PIL.Image", "pillow", purpose="The data set 'photos'").open(path)
    return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1)
