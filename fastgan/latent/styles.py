"""The styles w of a generator: which layer takes which, truncation, mixing (Karras et al. 2019, sections 3.1 and B)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor

from fastgan.latent.errors import LatentError

RANGES = {"coarse": (4, 8), "middle": (16, 32), "fine": (64, 1024)}
"""Resolutions in pixels, first and last, of the layers that the paper mixes together."""

Layers = str | Sequence[int]
"""``"coarse"``, ``"middle"``, ``"fine"``, a range as ``"0-3"`` or one number as ``"5"``, or the numbers themselves."""


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """``w_avg + psi·(w - w_avg)`` for the first ``cutoff`` styles: images nearer to the average one, and fewer odd ones.

    Args:
        ws: ``[..., num_ws, w_dim]``.
        w_avg: ``[w_dim]``, the mean of w: ``G.mapping.w_avg``, or of :func:`estimate_w_avg`.
        psi: 1 changes nothing, 0 gives the average image, below 0 its opposite.
        cutoff: how many styles, from the coarsest; None for all.

    Raises:
        ValueError: a shape or the cutoff doesn't fit.
    """
    _check_ws("ws", ws)
    if w_avg.shape != ws.shape[-1:]:
        raise ValueError(f"w_avg must have shape [{ws.shape[-1]}], got {list(w_avg.shape)}")
    num_ws = ws.shape[-2]
    if cutoff is None:
        cutoff = num_ws
    if not 0 <= cutoff <= num_ws:
        raise ValueError(f"cutoff must be from 0 to the number of styles, {num_ws}, got {cutoff}")
    truncated = ws.clone()
    truncated[..., :cutoff, :] = w_avg.lerp(ws[..., :cutoff, :], psi)
    return truncated


def mix(ws_a: Tensor, ws_b: Tensor, layers: Layers) -> Tensor:
    """The styles of b in ``layers`` and those of a in all others (Karras et al. 2019, figure 3).

    Args:
        ws_a, ws_b: ``[..., num_ws, w_dim]``, of shapes that broadcast.
        layers: as in :func:`layers_of`.

    Raises:
        LatentError: the generator has no such layers.
        ValueError: the shapes don't fit.
    """
    _check_ws("ws_a", ws_a)
    if ws_a.shape[-2:] != ws_b.shape[-2:]:
        raise ValueError(
            f"ws_a and ws_b must have the same number and size of styles, got {list(ws_a.shape)} and {list(ws_b.shape)}"
        )
    chosen = layers_of(layers, ws_a.shape[-2])
    mask = ws_a.new_zeros(ws_a.shape[-2], 1).bool()
    mask[chosen] = True
    return ws_b.where(mask, ws_a)


def layers_of(layers: Layers, num_ws: int) -> list[int]:
    """The numbers, from 0, of the styles that ``layers`` names, in a generator with ``num_ws`` of them.

    ``"coarse"`` are those of the convolutions at 4 and 8 pixels (pose, shape of the whole), ``"middle"`` at 16 and 32
    (features), ``"fine"`` from 64 on (colours, textures): styles 0 to 2, 3 to 6 and 7 to the last.

    Raises:
        LatentError: no such range, or the generator has no layer in it.
    """
    if isinstance(layers, str):
        return _named(layers, num_ws)
    wrong = [i for i in layers if not 0 <= i < num_ws]
    if wrong or not layers:
        raise LatentError(
            f"Layers must be numbers from 0 to {num_ws - 1}, the styles of this generator, but {list(layers)} came."
        )
    return list(layers)


def resolution_of(layer: int, num_ws: int) -> int:
    """Height and width in pixels, for a base of 4 × 4, of the convolution that takes style ``layer``.

    The last style has no convolution: it's taken where the image is made.
    """
    return 4 << (min(layer, num_ws - 2) + 1) // 2


def _named(layers: str, num_ws: int) -> list[int]:
    if (bounds := RANGES.get(layers)) is not None:
        chosen = [i for i in range(num_ws) if bounds[0] <= resolution_of(i, num_ws) <= bounds[1]]
        if not chosen:
            largest = resolution_of(num_ws - 1, num_ws)
            raise LatentError(
                f"The {layers} layers begin at {bounds[0]} pixels, but this generator ends at {largest}: "
                f"choose other layers, such as 0-{num_ws - 1}."
            )
        return chosen
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", layers)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= first <= last < num_ws:
        raise LatentError(
            f"Layers must be {', '.join(RANGES)} or a range from 0 to {num_ws - 1} such as 0-3, but {layers!r} came."
        )
    return list(range(first, last + 1))


def _check_ws(name: str, ws: Tensor) -> None:
    if ws.ndim < 2 or not ws.is_floating_point():
        raise ValueError(
            f"{name} must be floating-point [..., num_ws, w_dim], got {ws.dtype} {list(ws.shape)}"
        )
