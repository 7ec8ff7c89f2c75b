"""Translations of pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from torch import Tensor

from fastgan.data.levels import Levels
from fastgan.data.reading import levels_of
from fastgan.inference.errors import InferenceError
from fastgan.inference.translation import TILE, Translator, make_translator
from fastgan.recipes.translation import Translation
from fastgan.trained.core import check_numbers
from fastgan.trained.reading import Readers


class Translating(Readers):
    """Translations by trained networks."""

    @overload
    def translate(
        self,
        picture: Tensor,
        *,
        direction: str | None = ...,
        attributes: Sequence[str] = ...,
        mask: Any = ...,
        seed: int = ...,
        tile: int = ...,
    ) -> Tensor: ...

    @overload
    def translate(
        self,
        picture: np.ndarray[Any, Any],
        *,
        direction: str | None = ...,
        attributes: Sequence[str] = ...,
        mask: Any = ...,
        seed: int = ...,
        tile: int = ...,
    ) -> np.ndarray[Any, Any]: ...

    @overload
    def translate(
        self,
        picture: Any,
        *,
        direction: str | None = ...,
        attributes: Sequence[str] = ...,
        mask: Any = ...,
        seed: int = ...,
        tile: int = ...,
    ) -> Any: ...

    def translate(
        self,
        picture: Any,
        *,
        direction: str | None = None,
        attributes: Sequence[str] = (),
        mask: Any = None,
        seed: int = 0,
        tile: int = TILE,
    ) -> Any:
        """Translate a picture of any size, and return the same kind of object.

        Args:
            picture: one of

                - a path, which gives a Pillow image;
                - a Pillow image, which gives another;
                - a uint8 array ``[H, W]`` or ``[H, W, 3]``, with alpha ``[H, W, 4]``;
                - a tensor ``[C, H, W]`` or ``[N, C, H, W]``, float in [-1, 1] or uint8.

                A map of classes (``gaugan``) is a grey or palette image or a uint8 array
                ``[H, W]``. It may also be an integer tensor ``[H, W]`` or ``[N, H, W]``, which
                gives float images.
            direction: "AtoB" (the default) or "BtoA", for recipes with two.
            attributes: attributes to give the picture, such as "striped" or "not striped".
            mask: nonzero ``[H, W]`` where ``inpaint`` fills; None takes what isn't opaque.
            seed: seed of random parts of a translation.
            tile: side in pixels of the overlapping tiles for a larger picture.

        Returns:
            The translation, ``scale_factor`` times as high and wide; transparency stays.

        Raises:
            InferenceError: the recipe draws from noise, or an argument doesn't fit the recipe.
            DataError: a map of classes can't be read.
            TypeError: the picture is of another type or dtype.
        """
        levels: Levels = ()
        if isinstance(picture, (str, Path)) and Path(picture).is_file():
            levels = self.levels_of([Path(picture)], direction=direction)[0]
        translator = self.translator(
            direction=direction, attributes=attributes, seed=seed, tile=tile, levels=levels
        )
        return translator.translate(picture, mask)

    def translator(
        self,
        *,
        direction: str | None = None,
        attributes: Sequence[str] = (),
        seed: int = 0,
        tile: int = TILE,
        levels: Levels = (),
    ) -> Translator:
        """Return a translator for many pictures, with the arguments of :meth:`translate`.

        Args:
            levels: values that become black and white in files of more than 8 bits, as
                :meth:`levels_of` finds them.

        Raises:
            InferenceError: the recipe draws from noise, or an argument doesn't fit the recipe.
        """
        if not isinstance(self.recipe, Translation) or not self.can("translate"):
            raise InferenceError(
                f"{self.recipe.name} translates no pictures: draw images with sample()."
            )
        check_numbers(tile=(tile, 16), seed=(seed, 0))
        if isinstance(attributes, str):
            attributes = (attributes,)
        return make_translator(
            self.recipe,
            self.networks,
            self.image_spec.inputs,
            self.image_spec.channels,
            direction=direction,
            attributes=attributes,
            levels=levels,
            seed=seed,
            tile=tile,
        )

    def levels_of(
        self, paths: Sequence[Path], *, direction: str | None = None, range: str | None = None
    ) -> tuple[Levels, list[str]]:
        """Return the levels for files of more than 8 bits to translate, and lines about them.

        Args:
            range: ``LOW:HIGH`` or "auto"; None takes the levels of the run.

        Raises:
            DataError: ``range`` is neither.
        """
        translator = self.translator(direction=direction)
        if translator.spec.kind != "image":
            return (), []
        reading = self.reading(range=range)
        return levels_of(paths, reading, part=int(translator.name in self.image_spec.inputs))
