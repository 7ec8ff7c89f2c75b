"""Equivariance of a generator: how well its images follow translations and rotations of its input.

EQ-T and EQ-R of Karras et al. 2021, appendix E, as ratios of peak signal to noise in dB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from fastgan import ops

Equivariance = Literal["eqt", "eqt_frac", "eqr"]
"""Translations by whole pixels, by any distance, and rotations."""

Moved = tuple[Tensor, Tensor]
"""A moved image ``[N, C, H, W]``, and its mask of pixels to compare, ``[H, W]``."""

# Lobes of the Lanczos window, and the largest distance in pixels that a rotation's filter reaches.
_LOBES, _REACH = 3, 6
_FARTHEST = 1 / 8


def translated_by_pixels(x: Tensor, right: int, down: int) -> Moved:
    """Translate images by whole pixels; what enters the frame is 0 and masked out."""
    mask = x.new_ones(x.shape[2:])
    return _shifted(x, right, down), _shifted(mask, right, down)


def translated(x: Tensor, right: float, down: float) -> Moved:
    """Translate images by any number of pixels, with Lanczos' filter of three lobes.

    The mask leaves out pixels whose filter reaches out of the frame.
    """
    mask = x.new_ones(x.shape[2:])
    for dim, distance in ((3, right), (2, down)):
        whole = math.floor(distance)
        k = torch.arange(1 - _LOBES, _LOBES + 1, dtype=torch.float64)
        near = k - (distance - whole)
        taps = torch.sinc(near) * torch.sinc(near / _LOBES)
        parts = [
            float(tap) * _shifted_along(x, dim, whole + offset)
            for offset, tap in zip(range(1 - _LOBES, _LOBES + 1), taps / taps.sum())
        ]
        x = torch.stack(parts).sum(0)
        length, places = x.shape[dim], torch.arange(x.shape[dim], device=x.device)
        first, last = max(whole + _LOBES, 0), length + min(whole + 1 - _LOBES, 0)
        mask = mask * ((places >= first) & (places < last)).to(x).view(-1, *(1,) * (3 - dim))
    return x, mask


def rotated(x: Tensor, angle: float) -> Moved:
    """Rotate images about their centre, band-limited; the mask leaves out what lay outside.

    Args:
        x: images ``[N, C, H, W]``.
        angle: radians, counterclockwise on the screen.
    """
    up = 4
    taps = band_limit_filter(angle, up).to(x.device)
    size, around = taps.shape[0], taps.shape[0] // 2
    enlarged = ops.upsample2d(x, taps, up=up, padding=around)
    height, width = enlarged.shape[2:]
    inside = enlarged.new_zeros(1, 1, height, width)
    inside[..., size : height - size, size : width - size] = 1
    # Pixel j lies at this place of the enlarged image, plus up·j.
    offset = (size + up - 1) // 2 + around - (size - 1) // 2
    grid = _rotated_places(x, angle, up, offset, (height, width))
    result = F.grid_sample(enlarged, grid.expand(len(x), -1, -1, -1), align_corners=False)
    mask = F.grid_sample(inside, grid, mode="nearest", align_corners=False)
    return result, mask[0, 0]


def band_limited(x: Tensor, angle: float) -> Moved:
    """Filter images as a rotation by this angle would, without moving them.

    An image of rotated features has the band of a square that was rotated before it was sampled. So
    it is compared with :func:`rotated` behind this filter. The mask leaves out the filter's reach.
    """
    taps = band_limit_filter(-angle, 1).to(x.device)
    edge = taps.shape[0] // 2
    mask = x.new_zeros(x.shape[2:])
    mask[edge:-edge, edge:-edge] = 1
    return ops.filter2d(x, taps), mask


@lru_cache(maxsize=8)
def band_limit_filter(angle: float, up: int) -> Tensor:
    """Return the filter that keeps what both a grid and the same grid rotated can represent.

    It is the convolution of the two grids' sinc kernels, on a grid ``up`` times as fine. Its window
    is the convolution of their Lanczos windows.

    Returns:
        float32 ``[12·up - 1, 12·up - 1]`` with sum 1, and each of the ``up²`` phases an equal part.
    """
    count = 128 * up - 1
    steps = (torch.arange(count, dtype=torch.float64, device="cpu") - count // 2) / up
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    c, s = math.cos(angle), math.sin(angle)
    turned = (c * x + s * y, c * y - s * x)

    def convolved(kernel: Callable[[Tensor], Tensor]) -> Tensor:
        spectra = [
            torch.fft.fft2(torch.fft.ifftshift(kernel(a) * kernel(b))) for a, b in ((x, y), turned)
        ]
        return torch.fft.fftshift(torch.fft.ifft2(spectra[0] * spectra[1]).real)

    window = convolved(lambda t: torch.sinc(t / _LOBES) * (t.abs() < _LOBES))
    taps = convolved(torch.sinc) * window
    reach, centre = _REACH * up - 1, count // 2
    taps = taps[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    for i in range(up):
        for j in range(up):
            taps[i::up, j::up] /= taps[i::up, j::up].sum() * up * up
    return taps.float()


def transform_matrix(translate: tuple[float, float] = (0.0, 0.0), angle: float = 0.0) -> Tensor:
    """Return the transform of a generator's input that moves its image so.

    Args:
        translate: distance (right, down), as shares of the resolution.
        angle: radians, counterclockwise on the screen, about the centre, before the translation.

    Returns:
        float32 ``[3, 3]``, the inverse of the motion, for
        :meth:`fastgan.networks.stylegan3.StyleGAN3Synthesis.forward`.
    """
    c, s = math.cos(angle), math.sin(angle)
    x, y = translate
    motion = torch.tensor([[c, s, x], [-s, c, y], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return motion.inverse().float()


def equivariance(
    images_of: Callable[[Tensor, Tensor | None], Tensor],
    batches: Iterable[Tensor],
    metric: Equivariance,
    resolution: int,
    generator: Generator,
) -> float:
    """Return EQ-T, EQ-T of fractions of pixels, or EQ-R, in dB; higher is better.

    Args:
        images_of: function of latents and a transform ``[3, 3]``, or None for none, to images
            ``[N, C, H, W]`` in [-1, 1].
        batches: latents; a batch shares one transform.
        metric: the kind of motion. Translations are up to an eighth of the image; angles are any.
        resolution: pixels per unit of the transform.
        generator: CPU generator of the motions.

    Returns:
        ``20·log10(2) - 10·log10(Σ m·(a - b)² / Σ m)``, or infinity for a difference of 0. Here a
        is the moved image, b the image of the moved input, and m the mask.
    """
    errors, counts = 0.0, 0.0
    with torch.no_grad():
        for latents in batches:
            x, y = (torch.rand(2, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
            if metric == "eqr":
                error, count = rotation_error(images_of, latents, x * math.pi)
            else:
                far = _FARTHEST * resolution
                pixels = (x * far, y * far)
                if metric == "eqt":
                    pixels = (round(x * far), round(y * far))
                error, count = translation_error(images_of, latents, pixels, resolution)
            errors, counts = errors + error, counts + count
    return decibels(errors, counts)


def translation_error(
    images_of: Callable[[Tensor, Tensor | None], Tensor],
    latents: Tensor,
    pixels: tuple[float, float],
    resolution: int,
) -> tuple[float, float]:
    """Return the sum of squared differences of moved images, and the number of values in it.

    Args:
        images_of, latents, resolution: as in :func:`equivariance`.
        pixels: distance (right, down); two whole numbers move the pixels, others by a filter.
    """
    x, y = pixels
    still = images_of(latents, None)
    matrix = transform_matrix((x / resolution, y / resolution)).to(still.device)
    whole = isinstance(x, int) and isinstance(y, int)
    moved, mask = translated_by_pixels(still, int(x), int(y)) if whole else translated(still, x, y)
    return _error(moved, images_of(latents, matrix), mask)


def rotation_error(
    images_of: Callable[[Tensor, Tensor | None], Tensor], latents: Tensor, angle: float
) -> tuple[float, float]:
    """Return the sum of squared differences of rotated images, and the number of values in it."""
    still = images_of(latents, None)
    other = images_of(latents, transform_matrix(angle=angle).to(still.device))
    (moved, mask), (expected, inner) = rotated(still, angle), band_limited(other, angle)
    return _error(moved, expected, mask * inner)


def decibels(error: float, count: float) -> float:
    """Return the ratio of peak signal to noise of a sum of squared differences, in dB."""
    return 20 * math.log10(2) - 10 * math.log10(error / count) if error else math.inf


def _error(a: Tensor, b: Tensor, mask: Tensor) -> tuple[float, float]:
    squares = mask * (a.double() - b.double()).square()
    return float(squares.sum()), float(mask.sum()) * a.shape[0] * a.shape[1]


def _shifted(x: Tensor, right: int, down: int) -> Tensor:
    return _shifted_along(_shifted_along(x, x.ndim - 1, right), x.ndim - 2, down)


def _shifted_along(x: Tensor, dim: int, distance: int) -> Tensor:
    """Shift along a dimension; zeros come in."""
    result, length = torch.zeros_like(x), x.shape[dim]
    kept = length - abs(distance)
    if kept > 0:
        source = x.narrow(dim, max(-distance, 0), kept)
        result.narrow(dim, max(distance, 0), kept).copy_(source)
    return result


def _rotated_places(x: Tensor, angle: float, up: int, offset: int, size: tuple[int, int]) -> Tensor:
    """Return the grid of ``grid_sample`` where a rotated image of the shape of x is looked up.

    Args:
        x: images ``[N, C, H, W]``.
        angle: radians.
        up: samples of the canvas per pixel.
        offset: place of the first pixel in the canvas.
        size: (height, width) of the canvas.
    """
    rows, columns = (
        torch.arange(n, dtype=torch.float64, device=x.device) - (n - 1) / 2 for n in x.shape[2:]
    )
    c, s = math.cos(angle), math.sin(angle)
    places = []
    for turned, n, canvas in (
        (c * columns - s * rows[:, None], x.shape[3], size[1]),
        (s * columns + c * rows[:, None], x.shape[2], size[0]),
    ):
        index = up * (turned + (n - 1) / 2) + offset
        places.append((2 * index + 1) / canvas - 1)
    return torch.stack(places, -1)[None].to(x.dtype)
