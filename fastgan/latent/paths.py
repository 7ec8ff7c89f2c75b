"""Paths between latents: interpolation, and walks for videos."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Space = Literal["z", "w"]
"""Latent space: ``"z"``, the input of the mapping network, or ``"w"``, its output."""


def interpolate(a: Tensor, b: Tensor, t: float | Tensor, *, space: Space = "w") -> Tensor:
    """Interpolate between latents: on a line in w, on the great circle in z (Shoemake 1985).

    z lies near a sphere, whose inside a straight line would cross; w has no such shape.

    Args:
        a: start, ``[..., dim]``.
        b: end, of the same shape.
        t: position, 0 for a and 1 for b; a number, or several, ``[T]``.
        space: space of the latents.

    Returns:
        ``[..., dim]``, or ``[T, ..., dim]`` for several positions.

    Raises:
        ValueError: the shapes or the space don't fit.
    """
    _check_space(space)
    if a.shape != b.shape or a.ndim < 1:
        raise ValueError(
            f"a and b must have one shape [..., dim], got {list(a.shape)} and {list(b.shape)}"
        )
    share = torch.as_tensor(t, dtype=a.dtype, device=a.device)
    if share.ndim > 1:
        raise ValueError(f"t must be a number or have shape [T], got {list(share.shape)}")
    share = share.reshape(*share.shape, *(1 for _ in a.shape))
    if space == "w":
        return a + share * (b - a)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1)[..., None].clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    zero = torch.minimum(a.norm(dim=-1), b.norm(dim=-1))[..., None] == 0
    # Parallel, or opposite, so that no great circle is the shortest.
    straight = (sine < 1e-4) | zero
    safe = torch.where(straight, 1.0, sine)
    from_a = torch.where(straight, 1 - share, ((1 - share) * angle).sin() / safe)
    from_b = torch.where(straight, share, (share * angle).sin() / safe)
    return from_a * a + from_b * b


def walk(
    keyframes: Tensor, frames_per_key: int, *, loop: bool = True, space: Space = "w"
) -> Tensor:
    """Compute a smooth path through keyframes, one latent per frame.

    The path is a cubic spline (Catmull & Rom 1974). In z the length of each latent is interpolated
    between its neighbouring keyframes, so that it stays near their sphere.

    Args:
        keyframes: ``[K, ..., dim]``, K at least 2.
        frames_per_key: frames from one keyframe to the next, at least 1.
        loop: return to the first keyframe, so that a video repeats without a jump.
        space: space of the latents.

    Returns:
        ``[K * frames_per_key, ..., dim]`` for a loop, else
        ``[(K - 1) * frames_per_key + 1, ..., dim]``. Frame ``i * frames_per_key`` is keyframe i.

    Raises:
        ValueError: there are too few keyframes or frames, or ``space`` is unknown.
    """
    _check_space(space)
    if keyframes.ndim < 2 or len(keyframes) < 2:
        raise ValueError(
            f"keyframes must be [K, ..., dim] with K at least 2, got {list(keyframes.shape)}"
        )
    if frames_per_key < 1:
        raise ValueError(f"frames_per_key must be at least 1, got {frames_per_key}")
    path = _spline(keyframes, frames_per_key, loop)
    if space == "w":
        return path
    lengths = keyframes.norm(dim=-1, keepdim=True)
    ends = torch.cat([lengths, lengths[:1]]) if loop else lengths
    steps = torch.arange(len(path), device=path.device)
    before = ends[steps // frames_per_key]
    after = ends[(steps // frames_per_key + 1).clamp(max=len(ends) - 1)]
    share = (
        (steps % frames_per_key / frames_per_key)
        .view(-1, *(1 for _ in keyframes.shape[1:]))
        .to(path)
    )
    return path * (
        torch.lerp(before, after, share) / path.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    )


def _spline(keys: Tensor, frames_per_key: int, loop: bool) -> Tensor:
    count = len(keys)
    frames = torch.arange(
        count * frames_per_key if loop else (count - 1) * frames_per_key + 1, device=keys.device
    )
    index = frames // frames_per_key
    t = (
        (frames % frames_per_key / frames_per_key)
        .to(keys.dtype)
        .view(-1, *(1 for _ in keys.shape[1:]))
    )

    def key(offset: int) -> Tensor:
        i = index + offset
        return keys[i % count if loop else i.clamp(0, count - 1)]

    p0, p1, p2, p3 = (key(offset) for offset in (-1, 0, 1, 2))
    return p1 + t / 2 * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )


def _check_space(space: str) -> None:
    if space not in ("z", "w"):
        raise ValueError(f"space must be 'z' or 'w', got {space!r}")
