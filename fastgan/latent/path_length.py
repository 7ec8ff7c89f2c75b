"""Perceptual path length: how much images change along a path between two latents."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fastgan.latent.paths import Space, interpolate
from fastgan.metrics.checks import require_finite, warn_of_range

LARGEST = 256
"""Pixels: larger images are averaged down before they are compared."""

_CHUNK = 64


@torch.no_grad()
def perceptual_path_length(
    generate: Callable[..., Tensor],
    a: Tensor,
    b: Tensor,
    t: Tensor,
    *labels: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    space: Space = "w",
    epsilon: float = 1e-4,
) -> float:
    """``E[d(G(l(t)), G(l(t + ε))) / ε²]`` over paths l from a to b (Karras et al. 2019, section 4.1).

    Low where a small step never changes much. Figures of one perceptual network alone can be compared: those of papers are
    of VGG16's.

    Args:
        generate: float32 latents ``[N, ..., dim]``, and labels if any, to images ``[N, C, H, W]``, the same latent always to
            the same image.
        a, b: the ends, ``[N, ..., dim]``.
        t: float ``[N]``, where on each path.
        labels: ``[N]``, which `generate` takes after the latents.
        distance: of two batches of images, ``[N]``, such as :class:`PerceptualDistance`.
        space: straight lines in w, great circles in z, as :func:`interpolate` has them.
        epsilon: the step.

    Raises:
        ValueError: shapes, space or ε don't fit, or there is no path.
        NonFiniteError: an image or a distance is infinite or NaN.
    """
    if a.shape != b.shape or a.ndim < 2 or len(a) < 1 or t.shape != a.shape[:1]:
        raise ValueError(
            f"a and b must be [N, ..., dim] and t [N], N at least 1, got {list(a.shape)}, {list(b.shape)}, {list(t.shape)}"
        )
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    # float64: in float32 so small a step would lose digits
    ends = torch.tensor([0.0, epsilon], dtype=torch.float64, device=t.device)
    total = 0.0
    for first in range(0, len(a), _CHUNK):
        rows = range(first, min(first + _CHUNK, len(a)))
        steps = [interpolate(a[i].double(), b[i].double(), t[i] + ends, space=space) for i in rows]
        here, there = torch.stack(steps).float().unbind(1)
        classes = [each[rows.start : rows.stop] for each in labels]
        images = [generate(latents, *classes) for latents in (here, there)]
        for part in images:
            require_finite("the path length", images=part)
        warn_of_range(images[0])
        distances = distance(*map(_small, images))
        require_finite("the path length", distances=distances)
        total += distances.double().sum().item()
    return total / len(a) / epsilon**2


def _small(images: Tensor) -> Tensor:
    factor = -(-max(images.shape[2:]) // LARGEST)
    return images if factor == 1 else F.avg_pool2d(images, factor)
