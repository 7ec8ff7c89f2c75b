"""Latents of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from fastgan.data.reading import Fit
from fastgan.inference.errors import InferenceError
from fastgan.inference.pictures import read_square
from fastgan.latent import Projection, project
from fastgan.trained.reading import Readers


class Projecting(Readers):
    """Search for the latent of a picture."""

    def project(
        self,
        picture: str | Path | Tensor,
        *,
        steps: int = 1000,
        space: Literal["w", "w+"] = "w",
        seed: int = 0,
        fit: Fit | None = None,
        range: str | None = None,
        **options: Any,
    ) -> Projection:
        """Find the styles and the noise with which a StyleGAN2 or 3 makes a picture.

        Args:
            picture: a file, or a tensor ``[1, C, H, W]`` in [-1, 1] of the network's size.
            steps, space: as in :func:`fastgan.latent.project`, which takes ``options`` too.
            seed: seed of the search.
            fit, range: as in :meth:`reading`.

        Raises:
            InferenceError: the generator has no styles, or the file can't be read.
        """
        if not self.can("project"):
            raise InferenceError(
                f"Only a StyleGAN2 or 3 has styles to find, but this is {self.origin}."
            )
        if not isinstance(picture, Tensor):
            picture = self.read_target(picture, fit=fit, range=range)[0]
        found: Projection = project(
            self.generator,
            picture.to(self.device),
            space=space,
            steps=steps,
            generator=torch.Generator().manual_seed(seed),
            **options,
        )
        return found

    def read_target(
        self, path: str | Path, *, fit: Fit | None = None, range: str | None = None
    ) -> tuple[Tensor, list[str]]:
        """Read a file to project, and lines about its values.

        Args:
            fit, range: as in :meth:`reading`.

        Returns:
            float32 ``[1, C, H, W]`` in [-1, 1], and the lines.

        Raises:
            InferenceError: the file can't be read, or the network's images can't be files.
            DataError: Pillow is missing, or an argument is wrong.
        """
        spec = self._image_spec
        if spec is None or spec.channels not in (1, 3):
            raise InferenceError(
                f"Files are read as square grey or colour images, but this network makes "
                f"{self._size}: use fastgan.latent.project from Python."
            )
        return read_square(path, spec, self.reading(fit=fit, range=range))
