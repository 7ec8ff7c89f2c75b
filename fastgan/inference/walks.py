"""Images of numbered seeds, and pictures that show the effect of a generator's latents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fastgan.data import to_uint8
from fastgan.inference.samples import MIN_TILE
from fastgan.latent.errors import LatentError
from fastgan.latent.paths import Space, walk
from fastgan.latent.statistics import estimate_w_avg
from fastgan.latent.styles import Layers, layers_of, mix, truncate
from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.networks.stylegan2.generator import NoiseMode
from fastgan.networks.stylegan3 import StyleGAN3Generator

MAX_SEEDS = 10_000
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Drawing:
    """Settings for images of a style-based G; each image depends on its seed alone.

    A seed's z is numpy's legacy generator's, as in the programs that StyleGANs are published with.
    So a converted network draws the images known by their seeds.

    Attributes:
        truncation_psi, truncation_cutoff: as in :func:`fastgan.latent.truncate`; towards an
            estimated mean if G keeps none.
        noise: constant noise, noise of the seed, or none.
        label: class of all images; None draws one from each seed, if G takes classes.
        transform: matrix ``[3, 3]`` of :func:`fastgan.metrics.equivariance.transform_matrix`, for
            a G that takes one.
    """

    G: StyleGAN2Generator | StyleGAN3Generator
    truncation_psi: float = 1.0
    truncation_cutoff: int | None = None
    noise: NoiseMode = "const"
    label: int | None = None
    transform: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return next(self.G.parameters()).device

    def z(self, seed: int) -> Tensor:
        """Return the noise of a seed, float32 ``[1, z_dim]``."""
        z = torch.from_numpy(np.random.RandomState(seed).randn(1, self.G.z_dim)).float()
        return z.to(self.device)

    def labels(self, seed: int) -> Tensor | None:
        """Return the class of a seed's image, int64 ``[1]``; None if G takes none."""
        if self.G.c_dim == 0:
            return None
        label = (
            np.random.RandomState(seed).randint(self.G.c_dim) if self.label is None else self.label
        )
        return torch.tensor([label], device=self.device)

    @torch.no_grad()
    def ws(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Return truncated styles ``[N, num_ws, w_dim]`` of z ``[N, z_dim]``."""
        ws: Tensor = self.G.mapping(z, None if labels is None else labels.expand(len(z)))
        if self.truncation_psi == 1:
            return ws
        w_avg = self.G.mapping.w_avg if self.G.mapping.w_avg_beta is not None else None
        if w_avg is None:
            w_avg = estimate_w_avg(self.G, generator=torch.Generator().manual_seed(0)).mean
        return truncate(ws, w_avg.to(ws), self.truncation_psi, self.truncation_cutoff)

    def ws_of(self, seed: int) -> Tensor:
        """Return truncated styles ``[1, num_ws, w_dim]`` of a seed."""
        return self.ws(self.z(seed), self.labels(seed))

    @torch.no_grad()
    def image(self, ws: Tensor, *, seed: int = 0) -> Tensor:
        """Draw images ``[N, C, H, W]`` of styles ``[N, num_ws, w_dim]``.

        seed: seed of fresh noise.
        """
        with torch.random.fork_rng(devices=[ws.device] if ws.is_cuda else ()):
            torch.default_generator.manual_seed(seed)
            if ws.is_cuda:
                torch.cuda.manual_seed(seed)
            images: Tensor = self.G.synthesis(ws, noise_mode=self.noise, **self._moved(ws))
        return images

    def _moved(self, ws: Tensor) -> dict[str, Tensor]:
        return {} if self.transform is None else {"transform": self.transform.to(ws.device)}

    def images(self, seeds: Sequence[int], *, batch_size: int = 1) -> Tensor:
        """Draw one image for each seed, ``[N, C, H, W]``.

        batch_size: images per call of G, which changes rounding alone. Fresh noise is drawn for
            each image by itself, so that they are drawn one by one.
        """
        if batch_size == 1 or self.noise == "random":
            return torch.cat([self.image(self.ws_of(seed), seed=seed) for seed in seeds])
        styles = torch.cat([self.ws_of(seed) for seed in seeds])
        return torch.cat([self.image(ws) for ws in styles.split(batch_size)])


def mixing_table(
    drawing: Drawing, rows: Sequence[int], columns: Sequence[int], layers: Layers
) -> Tensor:
    """Mix the styles of two lists of seeds (Karras et al. 2019, figure 3).

    An image has its column's styles in ``layers`` and its row's in all others. The sources are
    above and on the left; the corner is black.

    Returns:
        ``[(1 + rows)·(1 + columns), C, H, W]``, row by row.

    Raises:
        LatentError: the generator has no such layers.
    """
    layers_of(layers, drawing.G.num_ws)
    above = [drawing.ws_of(seed) for seed in columns]
    pictures = [drawing.image(ws, seed=seed) for seed, ws in zip(columns, above)]
    table = [torch.full_like(pictures[0], -1), *pictures]
    for seed in rows:
        ws = drawing.ws_of(seed)
        table += [drawing.image(ws, seed=seed)]
        table += [drawing.image(mix(ws, other, layers), seed=seed) for other in above]
    return torch.cat(table)


def direction_strips(
    drawing: Drawing,
    seeds: Sequence[int],
    direction: Tensor,
    strengths: Sequence[float],
    *,
    layers: Layers | None = None,
) -> Tensor:
    """Draw a row of images for each seed, along a direction in w.

    Args:
        direction: ``[w_dim]``, such as one of :func:`fastgan.latent.sefa`.
        strengths: factor of the direction for each image.
        layers: layers whose styles are moved; None for all.

    Returns:
        ``[seeds·strengths, C, H, W]``, row by row.

    Raises:
        LatentError: the generator has no such layers.
    """
    num_ws = drawing.G.num_ws
    mask = torch.zeros(num_ws, 1, device=drawing.device)
    mask[list(range(num_ws)) if layers is None else layers_of(layers, num_ws)] = 1
    return torch.cat(
        [
            drawing.image(drawing.ws_of(seed) + strength * mask * direction, seed=seed)
            for seed in seeds
            for strength in strengths
        ]
    )


def interpolation(
    drawing: Drawing, seeds: Sequence[int], frames: int, *, space: Space = "w"
) -> Iterator[Tensor]:
    """Draw the images of a loop through the seeds one by one, ``[1, C, H, W]`` each.

    There are ``frames`` from one seed to the next, all of the first seed's class. Fresh noise
    changes with each frame.
    """
    labels = drawing.labels(seeds[0])
    zs = torch.cat([drawing.z(seed) for seed in seeds])
    if space == "z":
        latents = (drawing.ws(z[None], labels) for z in walk(zs, frames, space="z"))
    else:
        latents = (ws[None] for ws in walk(drawing.ws(zs, labels), frames))
    for i, ws in enumerate(latents):
        yield drawing.image(ws, seed=i)


def middle_columns(frames: Iterable[Tensor]) -> Tensor:
    """Return the middle column of pixels of every frame, side by side.

    Details that stick to pixels while the content moves are seen as level stripes (Karras et al.
    2021, figure 1).

    Args:
        frames: T images ``[1, C, H, W]`` in [-1, 1].

    Returns:
        uint8 ``[C, H·k, T·k]``; k enlarges small images to a height of at least 64 pixels.
    """
    columns = torch.stack([frame[0, :, :, frame.shape[3] // 2].cpu() for frame in frames], dim=2)
    scale = max(1, MIN_TILE // columns.shape[1])
    picture = to_uint8(columns.float())
    return picture.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in a text such as ``"0-15,42"``.

    Raises:
        LatentError: the text is no such list, or has more than 10,000 seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match and last < first:
            raise LatentError(
                f"A range of seeds must not run backwards, got {part.strip()!r}: write "
                f"{last}-{first}."
            )
        if not first <= last <= _LARGEST_SEED:
            raise LatentError(
                f"Seeds must be whole numbers from 0 to {_LARGEST_SEED} and ranges of them, such "
                f"as 0-15,42, got {text!r}."
            )
        if len(seeds) + last - first >= MAX_SEEDS:
            raise LatentError(f"Seeds must be at most {MAX_SEEDS:,}, got {text!r}.")
        seeds += range(first, last + 1)
    return seeds
