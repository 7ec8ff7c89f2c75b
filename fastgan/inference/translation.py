"""Translation of pictures of any size: files, Pillow images, arrays and tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgan.data import InputSpec, to_batch, to_uint8
from fastgan.data._optional import require
from fastgan.data.levels import Levels
from fastgan.inference.errors import InferenceError
from fastgan.inference.pictures import (
    OPAQUE,
    Picture,
    image_of,
    picture_of,
    read_map,
    read_picture,
    unreadable_as_error,
)
from fastgan.inference.tiles import translate_picture
from fastgan.names import unknown
from fastgan.recipes import Networks
from fastgan.recipes.translation import Translation
from fastgan.seeds import derive_seed

TILE = 1024
"""Pixels of a tile's side."""
OVERSHOOT = 1.5
"""Largest absolute value of a pixel; resized pictures overshoot 1."""


@dataclass(frozen=True)
class Translator:
    """Networks of a recipe, ready to translate pictures in one direction.

    Attributes:
        networks: in eval mode.
        name: input that a picture is given as.
        spec: description of that input.
        attributes: attributes that pictures are given, by name.
        seed: seed of random parts of a translation, the same for every picture.
        tile: side in pixels of the tiles that a larger picture is translated in.
    """

    recipe: Translation
    networks: Networks
    name: str
    spec: InputSpec
    attributes: Sequence[str] = ()
    seed: int = 0
    tile: int = TILE

    @property
    def device(self) -> torch.device:
        return next(p.device for network in self.networks.values() for p in network.parameters())

    def read(self, path: Path) -> Picture:
        """Read a file as the recipe takes it.

        Raises:
            DataError: the file is no map, or holds an unknown class.
            InferenceError: the recipe fills holes, and nothing in the picture is transparent.
            Exception: whatever Pillow raises for a file that it can't decode.
        """
        if self.spec.kind == "map":
            return read_map(path, self.spec)
        return self._checked(read_picture(path, self.spec.channels, self.spec.levels), str(path))

    def __call__(self, picture: Picture) -> Tensor:
        """Translate a picture of height H and width W.

        Returns:
            float32 ``[1 or 3, s·H, s·W]`` in [-1, 1] on the networks' device, with s the recipe's
            scale factor.
        """
        stored = {self.name: picture.pixels[None].to(self.device)}
        inputs = to_batch(stored, {self.name: self.spec})
        if self.recipe.fills:
            assert picture.alpha is not None
            inputs["mask"] = (picture.alpha < OPAQUE).float()[None, None].to(self.device)
        return self.translate_inputs(inputs)

    @torch.no_grad()
    def translate_inputs(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Translate one picture given as the recipe's inputs, ``[1, …, H, W]`` each."""
        return translate_picture(
            self.recipe,
            self.networks,
            self.recipe.complete_inputs(self.networks, inputs, self.attributes),
            seed=derive_seed(self.seed, "translate"),
            tile=self.tile,
        )

    def translate(self, picture: Any, mask: Any = None) -> Any:
        """Translate a picture and return the same kind of object.

        Args:
            picture: see :meth:`fastgan.Trained.translate`.
            mask: True or nonzero ``[H, W]`` where a picture without transparency is to be filled.

        Raises:
            InferenceError: a tensor or array has another shape, or none or NaN or infinite pixels,
                or nothing is to be filled.
            TypeError: the picture is of another type, or a tensor or array of another dtype.
        """
        if isinstance(picture, (Tensor, np.ndarray)) and 0 in picture.shape:
            raise InferenceError(f"picture must have a pixel, got {list(picture.shape)}.")
        if isinstance(picture, Tensor):
            return self._of_tensor(picture, mask)
        if isinstance(picture, np.ndarray):
            return np.array(self._of_image(self._image(picture), mask, "array"))
        if isinstance(picture, (str, Path)):
            return self._of_file(Path(picture), mask)
        if hasattr(picture, "getchannel") and hasattr(picture, "mode"):
            return self._of_image(picture, mask, "image")
        raise TypeError(
            f"picture must be a path, a Pillow image, an array or a tensor, "
            f"got {type(picture).__name__}"
        )

    def _of_file(self, path: Path, mask: Any) -> Any:
        if path.is_dir():
            raise InferenceError(
                f"picture must be one picture, got the folder {str(path)!r}: call it for each file."
            )
        if not path.is_file():
            raise InferenceError(f"There is no picture {str(path)!r}: check the path.")
        if mask is not None and self.spec.kind == "map":
            raise InferenceError("A map of classes has no mask: leave `mask` out.")
        with unreadable_as_error("picture", path):
            picture = (
                self.read(path)
                if mask is None
                else read_picture(path, self.spec.channels, self.spec.levels)
            )
        return self._image_from(picture if mask is None else self._masked(picture, mask))

    def _of_image(self, image: Any, mask: Any, what: str) -> Any:
        picture = picture_of(image, self.spec, self.spec.levels)
        if mask is not None:
            return self._image_from(self._masked(picture, mask))
        return self._image_from(self._checked(picture, what))

    def _image_from(self, picture: Picture) -> Any:
        pixels = to_uint8(self(picture)).cpu()
        return image_of(pixels, None if self.recipe.fills else picture.alpha)

    def _of_tensor(self, images: Tensor, mask: Any) -> Tensor:
        is_map = self.spec.kind == "map"
        dims = 2 if is_map else 3
        if images.ndim == dims + 1:
            masks = [None] * len(images) if mask is None else list(_mask_of(mask, images.ndim - 1))
            if len(masks) != len(images) or not masks:
                raise InferenceError(
                    f"mask must have one [H, W] for each of {len(images)} pictures, "
                    f"got {len(masks)}."
                )
            return torch.stack([self._of_tensor(x, m) for x, m in zip(images, masks)])
        shape = (
            "[H, W] or [N, H, W]" if is_map else f"[{self.spec.channels}, H, W], with or without N"
        )
        if images.ndim != dims or not (is_map or images.shape[0] == self.spec.channels):
            raise InferenceError(f"picture must be a tensor {shape}, got {list(images.shape)}.")
        if is_map:
            inputs = {self.name: self._classes(images)[None].to(self.device)}
        elif images.dtype == torch.uint8:
            inputs = to_batch({self.name: images[None].to(self.device)}, {self.name: self.spec})
        elif images.is_floating_point():
            if not bool(images.isfinite().all()):
                raise InferenceError("picture must be in [-1, 1], got NaN or infinite values.")
            low, high = float(images.min()), float(images.max())
            if max(-low, high) > OVERSHOOT:
                raise InferenceError(
                    f"picture must be in [-1, 1], got values from {low:.4g} to {high:.4g}: scale "
                    f"them, or give a uint8 tensor."
                )
            inputs = {self.name: images[None].float().to(self.device)}
        else:
            raise TypeError(f"picture must be float in [-1, 1] or uint8, got {images.dtype}")
        if self.recipe.fills:
            if mask is None:
                raise InferenceError(
                    f"{self.recipe.name} fills a hole in a picture: give `mask`, nonzero there."
                )
            inputs["mask"] = _mask_of(mask, 2).float()[None, None].to(self.device)
        elif mask is not None:
            raise InferenceError(f"{self.recipe.name} fills no holes: leave `mask` out.")
        output = self.translate_inputs(inputs).to(images.device)
        return to_uint8(output) if not is_map and images.dtype == torch.uint8 else output

    def _classes(self, indices: Tensor) -> Tensor:
        if indices.is_floating_point() or indices.dtype == torch.bool:
            raise TypeError(f"a map of classes must be integers, got {indices.dtype}")
        low, high, count = int(indices.min()), int(indices.max()), len(self.spec.names)
        if low < -1 or high >= count:
            raise InferenceError(
                f"A map of classes must hold -1 (no class) to {count - 1}, got {low} to {high}."
            )
        return indices.long()

    def _image(self, array: Any) -> Any:
        pil = require("PIL.Image", "pillow", purpose="Translating an array")
        if array.dtype != np.uint8:
            raise TypeError(f"picture must be an array of uint8, got {array.dtype}")
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
            raise InferenceError(
                f"picture must be an array [H, W] or [H, W, 1, 3 or 4], got {list(array.shape)}."
            )
        return pil.fromarray(np.ascontiguousarray(array))

    def _masked(self, picture: Picture, mask: Any) -> Picture:
        """Return the picture, transparent where it is to be filled."""
        if not self.recipe.fills:
            raise InferenceError(f"{self.recipe.name} fills no holes: leave `mask` out.")
        hole = _mask_of(mask, 2)
        if hole.shape != picture.pixels.shape[1:]:
            raise InferenceError(
                f"mask must be {list(picture.pixels.shape[1:])}, as the picture, "
                f"got {list(hole.shape)}."
            )
        return Picture(picture.pixels, torch.where(hole, 0, OPAQUE).to(torch.uint8))

    def _checked(self, picture: Picture, where: str) -> Picture:
        """Return the picture. Raises InferenceError if a hole is to be filled and it has none."""
        if self.recipe.fills and picture.is_opaque:
            raise InferenceError(
                f"{self.recipe.name} fills the transparent part of a picture, but {where!r} is "
                f"opaque: erase the part to fill, and save the picture as PNG."
            )
        return picture


def make_translator(
    recipe: Translation,
    networks: Networks,
    specs: Mapping[str, InputSpec],
    channels: int,
    *,
    direction: str | None = None,
    attributes: Sequence[str] = (),
    levels: Levels = (),
    seed: int = 0,
    tile: int = TILE,
) -> Translator:
    """Return a translator in one direction.

    Args:
        specs: inputs of the images that the networks were trained on, by name.
        channels: channels of those images.
        levels: values that become black and white in files of more than 8 bits.

    Raises:
        InferenceError: there is no such direction.
    """
    name = input_of(recipe, direction)
    spec = specs.get(name, InputSpec("image", channels=channels))
    if spec.kind == "image" and levels:
        spec = replace(spec, levels=levels)
    return Translator(recipe, networks, name, spec, tuple(attributes), seed, tile)


def input_of(recipe: Translation, direction: str | None) -> str:
    """Return the input that pictures are given as.

    Raises:
        InferenceError: there is no such direction.
    """
    ways = recipe.directions
    if direction is None:
        return next(iter(ways.values()))
    if "" in ways:
        raise InferenceError(f"{recipe.name} translates one way only: leave `direction` out.")
    if direction not in ways:
        raise InferenceError(unknown("direction", direction, list(ways)))
    return ways[direction]


def _mask_of(mask: Any, dims: int) -> Tensor:
    """Return a mask as a boolean tensor. Raises InferenceError for other dimensions."""
    hole = torch.as_tensor(np.asarray(mask) if not isinstance(mask, Tensor) else mask).bool()
    if hole.ndim == 3 and dims == 2 and hole.shape[0] == 1:
        hole = hole[0]
    if hole.ndim != dims:
        shape = "[H, W]" if dims == 2 else "[N, H, W]"
        raise InferenceError(f"mask must be {shape}, got {list(hole.shape)}.")
    return hole
