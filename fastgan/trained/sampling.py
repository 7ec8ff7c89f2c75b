"""Samples: images drawn from noise, from captions or from data."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from fastgan.data import DataError, ImageDataset
from fastgan.data.captions import encode_caption
from fastgan.data.labels import class_number
from fastgan.inference.drawing import BATCH_SIZE, RecipeDrawing
from fastgan.inference.errors import InferenceError
from fastgan.inference.samples import sample_images
from fastgan.inference.walks import Drawing
from fastgan.metrics.equivariance import transform_matrix
from fastgan.networks.stylegan2.generator import NoiseMode
from fastgan.recipes.translation import Translation
from fastgan.seeds import derive_seed
from fastgan.trained.core import check_numbers
from fastgan.trained.evaluating import Evaluating

FARTHEST = 100
"""Longest motion of an image, in multiples of its size: float32 holds 1/1000 of a pixel there."""


class Sampling(Evaluating):
    """Samples of trained networks."""

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int = 0,
        seeds: Sequence[int] | None = None,
        label: str | int | None = None,
        caption: str | None = None,
        truncation: float | None = None,
        truncation_cutoff: int | None = None,
        noise: NoiseMode | None = None,
        translate: tuple[float, float] | None = None,
        rotate: float | None = None,
        data: str | Path | ImageDataset | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """Draw images; the same seed draws the same ones, and those of ``fastgan sample``.

        Args:
            n: number of images; None is 1, or one for each of ``seeds``.
            seed: seed of the noise. A StyleGAN draws from the seeds ``seed`` to ``seed + n - 1``.
            seeds: one image for each of these seeds, in place of ``seed``; an image depends on its
                own seed alone.
            label: class of all images, by name or index; None draws one for each.
            caption: words that all images show, for ``text2image``.
            truncation: factor that draws styles towards their mean (Karras et al. 2019, section
                B): 1 leaves them, 0 gives the average image.
            truncation_cutoff: truncate only this number of styles, counted from the first.
            noise: noise of a StyleGAN2: "const" (the default), "random" (of the seed) or "none".
            translate: distance (right, down) that a StyleGAN3's input moves, as shares of the
                resolution, each from -100 to 100.
            rotate: degrees that it turns, counterclockwise, before it moves. Configuration R
                turns its details, too.
            data: folder or data set whose images are translated, for recipes that translate.
            batch_size: images per call of the network, which changes rounding alone. None draws
                images of a StyleGAN one by one, others 256 at a time.

        Returns:
            float32 ``[n, C, H, W]`` in [-1, 1] on the networks' device.

        Raises:
            InferenceError: an argument is out of range, or one that this recipe doesn't take; an
                unknown class or word.
            DataError: ``data`` can't be opened.
        """
        check_numbers(n=(n, 1), seed=(seed, 0), batch_size=(batch_size, 1))
        _check_seeds(seeds)
        if seeds is not None and n not in (None, len(seeds)):
            raise InferenceError(
                f"`n` must be the number of `seeds`, {len(seeds)}, got {n}: leave it out."
            )
        n = n or 1
        self._refuse(
            label=label, caption=caption, truncation=truncation, noise=noise, translate=translate,
            rotate=rotate,
        )  # fmt: skip
        _check_styles(truncation, noise)
        if truncation_cutoff is not None and truncation is None:
            raise InferenceError("`truncation_cutoff` needs `truncation`: give both.")
        if isinstance(self.recipe, Translation) and caption is None:
            return self._translated(n, seed, seeds, data, batch_size).clamp_(-1, 1)
        if data is not None:
            source = "noise" if caption is None else "a caption"
            raise InferenceError(f"{self.recipe.name} draws from {source}: leave `data` out.")
        if self.can("truncate"):
            drawing = self.drawing(
                label=label,
                truncation=1.0 if truncation is None else truncation,
                truncation_cutoff=truncation_cutoff,
                noise=noise or "const",
                translate=translate,
                rotate=rotate,
            )
            chosen = range(seed, seed + n) if seeds is None else seeds
            images = drawing.images(list(chosen), batch_size=batch_size or 1)
            return images.float().clamp_(-1, 1)
        draw = self._recipe_drawing(label, caption)
        if seeds is not None:
            return draw.images(seeds).float().clamp_(-1, 1)
        start = derive_seed(seed, "sample")
        images = draw.drawn_from(start, n, batch_size=batch_size or BATCH_SIZE)
        return images.float().clamp_(-1, 1)

    def drawing(
        self,
        *,
        label: str | int | None = None,
        truncation: float = 1.0,
        truncation_cutoff: int | None = None,
        noise: NoiseMode = "const",
        translate: tuple[float, float] | None = None,
        rotate: float | None = None,
    ) -> Drawing:
        """Return the drawing of a style-based generator, for walks, mixes and directions.

        The functions of :mod:`fastgan.inference` take it. The arguments are those of
        :meth:`sample`.

        Raises:
            InferenceError: the generator has no styles, or an argument is out of range.
        """
        if not self.can("interpolate"):
            raise InferenceError(
                f"Only a StyleGAN has styles to walk through, but this is {self.origin}."
            )
        G = self.generator
        if truncation_cutoff is not None and not 0 <= truncation_cutoff <= G.num_ws:
            raise InferenceError(
                f"`truncation_cutoff` must be from 0 to {G.num_ws}, the styles of this network, "
                f"got {truncation_cutoff}."
            )
        return Drawing(
            G,
            truncation_psi=truncation,
            truncation_cutoff=truncation_cutoff,
            noise=noise,
            label=self._class_number(label),
            transform=_transform(translate, rotate),
        )

    def _recipe_drawing(self, label: str | int | None, caption: str | None) -> RecipeDrawing:
        words = None
        if caption is not None:
            with _as_arguments():
                words = encode_caption(caption, self.image_spec.inputs["caption"])[None]
            words = words.to(self.device)
        return RecipeDrawing(
            self.recipe, self.networks, label=self._class_number(label), caption=words
        )

    def _translated(
        self,
        n: int,
        seed: int,
        seeds: Sequence[int] | None,
        data: str | Path | ImageDataset | None,
        batch_size: int | None,
    ) -> Tensor:
        """Translate the first rows of a data set."""
        if seeds is not None:
            raise InferenceError(f"{self.recipe.name} draws rows of data: leave `seeds` out.")
        if data is None:
            source, other = (
                ("captions", "give caption, words to draw")
                if self.can("caption")
                else ("images", "translate a picture with translate()")
            )
            raise InferenceError(
                f"{self.recipe.name} makes images of {source}, not of noise: {other}, or name a "
                f"folder of them in data."
            )
        return sample_images(
            self.recipe,
            self.networks,
            n,
            seed=derive_seed(seed, "sample"),
            chunk=batch_size or BATCH_SIZE,
            dataset=self.open_data(data),
        ).to(self.device)

    def _class_number(self, label: str | int | None) -> int | None:
        if label is None:
            return None
        count = int(getattr(self.generator, "c_dim", 0))
        if isinstance(label, str):
            with _as_arguments():
                return class_number(label, self.class_names, count)
        try:
            number = -1 if isinstance(label, bool) else operator.index(label)
        except TypeError:
            number = -1
        if not 0 <= number < count:
            raise InferenceError(
                f"`label` must be a name or a whole number from 0 to {count - 1}, got {label!r}."
            )
        return number

    def _refuse(self, **arguments: Any) -> None:
        """Raise InferenceError for an argument that this recipe doesn't take."""
        needed = {"truncation": "truncate", "translate": "transform", "rotate": "transform"}
        for name, value in arguments.items():
            if value is not None and not self.can(needed.get(name, name)):
                reason = "was trained without classes" if name == "label" else f"takes no {name}"
                raise InferenceError(f"{self.recipe.name} {reason}: leave `{name}` out.")


@contextmanager
def _as_arguments() -> Iterator[None]:
    """Turn an error of names that data have into one of an argument."""
    try:
        yield
    except DataError as error:
        raise InferenceError(error.marked) from error


def _check_seeds(seeds: Any) -> None:
    """Raise InferenceError unless these are whole numbers, or None."""
    if seeds is None:
        return
    whole = isinstance(seeds, Sequence) and not isinstance(seeds, str) and len(seeds) > 0
    if not whole or any(isinstance(x, bool) or not isinstance(x, int) for x in seeds):
        raise InferenceError(
            f"`seeds` must be one whole number or more, such as [0, 1, 2], got {seeds!r}."
        )
    for number in seeds:
        check_numbers(seeds=(number, 0))


def _transform(translate: Any, rotate: Any) -> Tensor | None:
    """Return the matrix of a motion, None for none; InferenceError unless these are numbers."""
    if translate is None and rotate is None:
        return None
    place = (0.0, 0.0) if translate is None else translate
    two = isinstance(place, Sequence) and len(place) == 2 and all(map(_is_finite, place))
    if not two or max(map(abs, place)) > FARTHEST:
        raise InferenceError(
            f"`translate` must be two numbers from -{FARTHEST} to {FARTHEST}, (right, down), got "
            f"{place!r}."
        )
    degrees = 0.0 if rotate is None else rotate
    if not _is_finite(degrees):
        raise InferenceError(f"`rotate` must be a number of degrees, got {degrees!r}.")
    return transform_matrix((float(place[0]), float(place[1])), math.radians(degrees))


def _is_finite(number: Any) -> bool:
    return isinstance(number, (int, float)) and math.isfinite(number)


def _check_styles(truncation: Any, noise: Any) -> None:
    """Raise InferenceError for a truncation that is no number, or an unknown kind of noise."""
    if truncation is not None:
        number = isinstance(truncation, (int, float)) and not isinstance(truncation, bool)
        if not number or not math.isfinite(truncation):
            raise InferenceError(f"`truncation` must be a number, 1 for none, got {truncation!r}.")
    if noise is not None and noise not in get_args(NoiseMode):
        raise InferenceError(
            f"`noise` must be one of {', '.join(get_args(NoiseMode))}, got {noise!r}."
        )
