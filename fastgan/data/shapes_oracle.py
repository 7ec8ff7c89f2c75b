"""Measurement of what images of ``shapes`` show, from their pixels alone.

Tests use it to check what recipes generate. All functions take uint8 ``[N, 3, R, R]``, R at least
16 (see ``to_uint8``), and raise ValueError for anything else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.data.shapes import COLOURS, STRIPES

STRIPED = 0.08
"""``stripedness`` from which a shape counts as striped.

At 32x32 plain scenes have less than 0.04, striped ones more than 0.1.
"""

# Of 255: pixels that differ less from the border's colour are always background.
_FAINT = 24
# Of 255: stripes and backgrounds have less chroma.
_CHROMA = 48


def shape_mask(images: Tensor) -> Tensor:
    """Mark the pixels of the shape, bool ``[N, R, R]``.

    A pixel belongs to the shape if it differs from the border's median colour by at least half the
    shape's own difference. That is estimated as a low quantile of all differences that aren't
    faint, since stripes may lie above it.
    """
    pixels = _checked(images)
    away = (pixels - _border(pixels)).abs().amax(dim=1)
    clear = torch.where(away > _FAINT, away, torch.inf).flatten(1).sort(dim=1).values
    place = (clear.isfinite().sum(dim=1) * 2 // 5).clamp(max=clear.shape[1] - 1)
    return away > (clear.gather(1, place.view(-1, 1)) / 2).clamp(min=_FAINT).unsqueeze(-1)


def stripedness(images: Tensor) -> Tensor:
    """Measure the contrast of horizontal stripes inside the shape, float32 ``[N]``.

    A stripe with its gap is an eighth of the height. The measure is the mean difference of pixels
    half a period apart, less that of pixels a whole period apart. It is 1 for black and white
    stripes, 0 for none, and below 0 for other patterns. See ``STRIPED``.
    """
    pixels, inside = _checked(images) / 255, shape_mask(images)
    half = round(pixels.shape[-1] / (2 * STRIPES))
    here, next_, again = (slice(k * half, pixels.shape[-2] - (2 - k) * half) for k in range(3))
    whole = inside[:, here] & inside[:, next_] & inside[:, again]
    change = (pixels[:, :, here] - pixels[:, :, next_]).abs() - (
        pixels[:, :, here] - pixels[:, :, again]
    ).abs()
    return (change.mean(dim=1) * whole).sum(dim=(1, 2)) / whole.sum(dim=(1, 2)).clamp(min=1)


def dominant_colour(images: Tensor) -> Tensor:
    """Return the commonest colour of the shape's coloured pixels, int64 ``[N]``.

    Values are positions in ``COLOURS``.
    """
    pixels, inside = _checked(images), shape_mask(images)
    palette = torch.tensor(list(COLOURS.values()), dtype=torch.float32, device=pixels.device)
    coloured = inside & (pixels.amax(dim=1) - pixels.amin(dim=1) > _CHROMA)
    nearest = torch.cdist(pixels.movedim(1, -1)[coloured], palette).argmin(dim=1)
    votes = coloured.nonzero()[:, 0] * len(palette) + nearest
    return (
        torch.bincount(votes, minlength=len(pixels) * len(palette))
        .view(-1, len(palette))
        .argmax(dim=1)
    )


def light_background(images: Tensor) -> Tensor:
    """Mark images whose border's median colour is nearer to white than to black, bool ``[N]``."""
    return _border(_checked(images)).mean(dim=(1, 2, 3)) > 127.5


def _border(pixels: Tensor) -> Tensor:
    """Return the median colour of the outermost pixels, ``[N, 3, 1, 1]``."""
    edges = [pixels[:, :, 0], pixels[:, :, -1], pixels[:, :, :, 0], pixels[:, :, :, -1]]
    return torch.cat(edges, dim=2).median(dim=2).values[:, :, None, None]


def _checked(images: Tensor) -> Tensor:
    if (
        images.dtype != torch.uint8
        or images.ndim != 4
        or images.shape[1] != 3
        or min(images.shape[2:]) < 16
    ):
        raise ValueError(
            f"images must be uint8 [N, 3, R, R] with R at least 16, "
            f"got {images.dtype} {list(images.shape)}"
        )
    return images.to(torch.float32)
