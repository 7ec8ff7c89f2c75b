"""Perceptual path length: how much images change along a path between two latents."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fastgan.latent.paths import Space, interpolate
from fastgan.metrics.checks import require_finite, warn_of_range

LARGEST = 256
"""Largest height and width in pixels; larger images are averaged down before the comparison."""

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
    """Compute ``E[d(G(l(t)), G(l(t + ε))) / ε²]`` over paths l from a to b.

    It is low if small steps never change the image much (Karras et al. 2019, section 4.1). Compare
    only results of the same perceptual network. Published path lengths use VGG16, so they are not
    comparable with those of the embedded network.

    Args:
        generate: function from float32 latents ``[N, ..., dim]``, and labels if there are any, to
            images ``[N, C, H, W]``. It must map equal latents to equal images.
        a: start of each path, ``[N, ..., dim]``.
        b: end of each path, ``[N, ..., dim]``.
        t: position on each path, float ``[N]`` in [0, 1].
        labels: further arguments of ``generate``, ``[N]`` each.
        distance: function from two batches of images to distances ``[N]``, such as
            :class:`fastgan.metrics.PerceptualDistance`.
        space: ``"w"`` for straight lines, ``"z"`` for great circles (see :func:`interpolate`).
        epsilon: step along the path, above 0.

    Returns:
        The mean over paths.

    Raises:
        ValueError: shapes or ``space`` don't fit, ``epsilon`` isn't positive, or there is no path.
        NonFiniteError: an image or a distance is infinite or NaN.
    """
    if a.shape != b.shape or a.ndim < 2 or len(a) < 1 or t.shape != a.shape[:1]:
        raise ValueError(
            f"a and b must be [N, ..., dim] and t [N], N at least 1, "
            f"got {list(a.shape)}, {list(b.shape)}, {list(t.shape)}"
        )
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    # float64, since so small a step loses digits in float32.
    ends = torch.tensor([0.0, epsilon], dtype=torch.float64, device=t.device)
    total = 0.0
    for first in range(0, len(a), _CHUNK):
        rows = range(first, min(first + _CHUNK, len(a)))
        steps = [interpolate(a[i].double(), b[i].double(), t[i] + ends, space=space) for i in rows]
        start, stop = torch.stack(steps).float().unbind(1)
        classes = [values[rows.start : rows.stop] for values in labels]
        images = [generate(latents, *classes) for latents in (start, stop)]
        for part in images:
            require_finite("the path length", images=part)
        warn_of_range(images[0])
        distances = distance(*map(_reduce, images))
        require_finite("the path length", distances=distances)
        total += distances.double().sum().item()
    return total / len(a) / epsilon**2


def _reduce(images: Tensor) -> Tensor:
    factor = -(-max(images.shape[2:]) // LARGEST)
    return images if factor == 1 else F.avg_pool2d(images, factor)
