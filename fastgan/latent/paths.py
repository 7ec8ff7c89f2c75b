"""Paths between latents: interpolation, and walks for videos."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Space = Literal["z", "w"]


def interpolate(a: Tensor, b: Tensor, t: float | Tensor, *, space: Space = "w") -> Tensor:
    """The latent at ``t`` of the way from a to b: straight in w, along the great circle in z (Shoemake 1985).

    z lies near a sphere, whose inside a straight line would cross; w has no such shape.

    Args:
        a, b: ``[..., dim]``, of one shape.
        t: a number, 0 for a and 1 for b, or several, ``[T]``.

    Returns:
        ``[..., dim]``, or ``[T, ..., dim]`` for several.

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
    nothing = torch.minimum(a.norm(dim=-1), b.norm(dim=-1))[..., None] == 0
    straight = (
        sine < 1e-4
    ) | nothing  # parallel, or opposite, where no great circle is the shortest
    safe = torch.where(straight, 1.0, sine)
    from_a = torch.where(straight, 1 - share, ((1 - share) * angle).sin() / safe)
    from_b = torch.where(straight, share, (share * angle).sin() / safe)
    return from_a * a + from_b * b


def walk(
    keyframes: Tensor, frames_per_key: int, *, loop: bool = True, space: Space = "w"
) -> Tensor:
    """A smooth path through the keyframes: a cubic spline without corners (Catmull & Rom 1974), one latent per frame.

    In z every latent takes its length from the keyframes beside it, so that it stays near their sphere.

    Args:
        keyframes: ``[K, ..., dim]``, at least two.
        frames_per_key: frames from one to the next, at least 1.
        loop: whether the path returns to the first, so that the video can be repeated without a jump.

    Returns:
        ``[K·frames_per_key, ..., dim]``, or ``[(K-1)·frames_per_key + 1, ..., dim]`` if it doesn't loop. Frame
        ``i·frames_per_key`` is keyframe i.

    Raises:
        ValueError: too few keyframes or frames, or no such space.
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
        there = index + offset
        return keys[there % count if loop else there.clamp(0, count - 1)]

    p0, p1, p2, p3 = (key(offset) for offset in (-1, 0, 1, 2))
    return p1 + t / 2 * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )


def _check_space(space: str) -> None:
    if space not in ("z", "w"):
        raise ValueError(f"space must be 'z' or 'w', got {space!r}")
