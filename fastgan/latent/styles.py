"""Styles of a generator: numbers of layers, truncation and mixing (Karras et al. 2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor

from fastgan.latent.errors import LatentError

RANGES = {"coarse": (4, 8), "middle": (16, 32), "fine": (64, 1024)}
"""First and last resolution in pixels of the layers that the paper mixes together."""

Layers = str | Sequence[int]
"""Choice of layers: ``"coarse"``, ``"middle"``, ``"fine"``, ``"0-3"``, ``"5"``, or numbers."""


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """Move the first ``cutoff`` styles towards the mean: ``w_avg + psi * (w - w_avg)``.

    Images get nearer to the average one, and fewer are odd.

    Args:
        ws: styles, floating-point ``[..., num_ws, w_dim]``.
        w_avg: mean of w, ``[w_dim]``: ``G.mapping.w_avg``, or that of :func:`estimate_w_avg`.
        psi: 1 changes nothing, 0 gives the average image, values below 0 its opposite.
        cutoff: number of styles, from the coarsest; None for all.

    Returns:
        Truncated styles, ``[..., num_ws, w_dim]``.

    Raises:
        ValueError: a shape or ``cutoff`` doesn't fit.
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
    """Combine the styles of b in ``layers`` with those of a in all others.

    This is figure 3 of Karras et al. 2019.

    Args:
        ws_a: styles, floating-point ``[..., num_ws, w_dim]``.
        ws_b: styles of a shape that broadcasts.
        layers: layers with the styles of b (see :func:`layers_of`).

    Returns:
        Mixed styles, ``[..., num_ws, w_dim]``.

    Raises:
        LatentError: the generator has no such layers.
        ValueError: the shapes don't fit.
    """
    _check_ws("ws_a", ws_a)
    if ws_a.shape[-2:] != ws_b.shape[-2:]:
        raise ValueError(
            f"ws_a and ws_b must have the same number and size of styles, "
            f"got {list(ws_a.shape)} and {list(ws_b.shape)}"
        )
    chosen = layers_of(layers, ws_a.shape[-2])
    mask = ws_a.new_zeros(ws_a.shape[-2], 1).bool()
    mask[chosen] = True
    return ws_b.where(mask, ws_a)


def layers_of(layers: Layers, num_ws: int) -> list[int]:
    """Return the numbers of the styles that ``layers`` names.

    - ``"coarse"``: convolutions at 4 and 8 pixels, styles 0 to 2 (pose, overall shape).
    - ``"middle"``: convolutions at 16 and 32 pixels, styles 3 to 6 (features).
    - ``"fine"``: convolutions from 64 pixels, styles from 7 (colours, textures).

    Args:
        layers: name, range or numbers of layers.
        num_ws: number of styles of the generator.

    Returns:
        Numbers from 0 to ``num_ws - 1``.

    Raises:
        LatentError: ``layers`` isn't a choice of layers, or the generator has none of them.
    """
    if isinstance(layers, str):
        return _parse_layers(layers, num_ws)
    wrong = [i for i in layers if not 0 <= i < num_ws]
    if wrong or not layers:
        raise LatentError(
            f"layers must be numbers from 0 to {num_ws - 1}, the styles of this generator, "
            f"got {list(layers)}."
        )
    return list(layers)


def resolution_of(layer: int, num_ws: int) -> int:
    """Return height and width in pixels of the convolution with a style, for a base of 4 x 4.

    The last style has no convolution but the image layer, and counts as the convolution before it.

    Args:
        layer: number of the style, 0 to ``num_ws - 1``.
        num_ws: number of styles of the generator.
    """
    return 4 << (min(layer, num_ws - 2) + 1) // 2


def _parse_layers(layers: str, num_ws: int) -> list[int]:
    if (bounds := RANGES.get(layers)) is not None:
        chosen = [i for i in range(num_ws) if bounds[0] <= resolution_of(i, num_ws) <= bounds[1]]
        if not chosen:
            largest = resolution_of(num_ws - 1, num_ws)
            raise LatentError(
                f"The {layers} layers begin at {bounds[0]} pixels, but this generator ends at "
                f"{largest}: choose other layers, such as 0-{num_ws - 1}."
            )
        return chosen
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", layers)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not 0 <= first <= last < num_ws:
        raise LatentError(
            f"layers must be {', '.join(RANGES)} or a range from 0 to {num_ws - 1} such as 0-3, "
            f"got {layers!r}."
        )
    return list(range(first, last + 1))


def _check_ws(name: str, ws: Tensor) -> None:
    if ws.ndim < 2 or not ws.is_floating_point():
        raise ValueError(
            f"{name} must be floating-point [..., num_ws, w_dim], got {ws.dtype} {list(ws.shape)}"
        )
