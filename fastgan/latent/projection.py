"""From an image back to its latent (Karras et al. 2020, appendix D)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from fastgan.data import to_uint8
from fastgan.latent.statistics import WStatistics, estimate_w_avg
from fastgan.metrics import PerceptualDistance
from fastgan.networks.stylegan2 import StyleGAN2Generator

LARGEST = 256
"""Pixels: distances between larger images are taken of smaller copies."""


@dataclass(frozen=True)
class Projection:
    """What :func:`project` found.

    ws: ``[1, num_ws, w_dim]``. noise: the noise maps ``[h, w]`` by the names of ``G.synthesis``' buffers, which
    ``G.synthesis.load_state_dict(noise, strict=False)`` takes. image: ``[1, C, H, W]`` of the two. distances: to the target,
    before each step and of ``image``. frames: uint8 ``[F, C, H, W]``, the way there.
    """

    ws: Tensor
    noise: dict[str, Tensor]
    image: Tensor
    distances: list[float]
    frames: Tensor


@dataclass(frozen=True)
class Schedule:
    """How the step and the noise on w change over the steps; shares of all steps.

    learning_rate: the largest, rising from 0 in a straight line over ``ramp_up`` and falling along a cosine over
    ``ramp_down``. w_noise: deviation of the noise on w at the start, in units of w's own, falling to 0 as ``(1 - t)²``
    over ``w_noise_share``. noise_weight: of the noise maps' regularisation, α.
    """

    learning_rate: float = 0.1
    ramp_up: float = 0.05
    ramp_down: float = 0.25
    w_noise: float = 0.05
    w_noise_share: float = 0.75
    noise_weight: float = 1e5

    def rate(self, t: float) -> float:
        rising = min(1.0, t / self.ramp_up) if self.ramp_up else 1.0
        left = min(1.0, (1 - t) / self.ramp_down) if self.ramp_down else 1.0
        return self.learning_rate * rising * (0.5 - 0.5 * math.cos(math.pi * left))

    def deviation(self, t: float) -> float:
        left = max(0.0, 1 - t / self.w_noise_share) if self.w_noise_share else 0.0
        return self.w_noise * left**2


@torch.enable_grad()
def project(
    G: StyleGAN2Generator,
    image: Tensor,
    *,
    space: Literal["w", "w+"] = "w",
    steps: int = 1000,
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
    schedule: Schedule | None = None,
    w_statistics: WStatistics | None = None,
    labels: Tensor | None = None,
    frame_every: int = 0,
    generator: torch.Generator | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Projection:
    """The styles and noise maps with which G's image looks most like ``image``.

    Adam from the mean of w, with noise on w that fades; the noise maps are kept from carrying the picture by a penalty on
    the likeness of neighbouring pixels, at every scale, and are brought back to mean 0 and deviation 1 after each step.
    G isn't changed.

    Args:
        image: float32 ``[C, H, W]`` or ``[1, C, H, W]`` in [-1, 1], of the size that G makes.
        space: one w for all layers, which G's own images have and edits expect, or one for each (``"w+"``), which comes
            nearer to other images.
        steps: at least 1.
        perceptual: the distance to make small: two batches of images to ``[N]`` or a number; ``lpips.LPIPS()`` is one, and
            :class:`PerceptualDistance` makes one of any network's features. None takes the embedded network. Images above
            256 pixels are averaged down before.
        schedule: the paper's when None.
        w_statistics: where to start, and w's deviation; None estimates them from 10,000 samples.
        labels: those of these, as in :func:`estimate_w_avg`.
        frame_every: steps between two of the result's frames; 0 for none.
        generator: on the CPU, for all that's random; None draws from torch's own.
        progress: called with the step, from 0, and the distance before it.

    Raises:
        ValueError: the image isn't one of G's size, or an argument is out of range.
    """
    target = image[None] if image.ndim == 3 else image
    size = (G.channels, *G.synthesis.image_size)
    if not target.is_floating_point() or tuple(target.shape) != (1, *size):
        raise ValueError(
            f"image must be floating-point {list(size)} in [-1, 1], got {image.dtype} {list(image.shape)}; "
            f"resize it, and convert uint8 by fastgan.data.to_float"
        )
    if space not in ("w", "w+"):
        raise ValueError(f"space must be 'w' or 'w+', got {space!r}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    device = next(G.parameters()).device
    if perceptual is None:
        perceptual = PerceptualDistance().to(device)
    schedule = schedule or Schedule()
    mean, std = w_statistics or estimate_w_avg(G, labels=labels, generator=generator)
    target = _at_most(target.to(device, torch.float32))
    weights = {name: value.detach() for name, value in G.synthesis.named_parameters()}

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(device)

    maps = {
        name: value for name, value in G.synthesis.named_buffers() if name.endswith("noise.const")
    }
    noise = {name: normal(value).requires_grad_() for name, value in maps.items()}
    w = mean.to(device).repeat(1, 1 if space == "w" else G.num_ws, 1).requires_grad_()

    def synthesize(w: Tensor) -> Tensor:
        ws = w.expand(1, G.num_ws, -1)
        images: Tensor = functional_call(
            G.synthesis, {**weights, **noise}, (ws,), {"noise_mode": "const"}
        )
        return images

    def distance(images: Tensor) -> Tensor:
        return perceptual(_at_most(images), target).sum()

    variables = [w, *noise.values()]
    optimizer = torch.optim.Adam(variables)
    distances, frames = [], []
    for step in range(steps):
        t = step / steps
        optimizer.param_groups[0]["lr"] = schedule.rate(t)
        images = synthesize(w + schedule.deviation(t) * std * normal(w))
        apart = distance(images)
        loss = apart + schedule.noise_weight * noise_penalty(list(noise.values()))
        for variable, gradient in zip(
            variables, torch.autograd.grad(loss, variables, allow_unused=True)
        ):
            variable.grad = gradient
        optimizer.step()
        _normalize(list(noise.values()))
        distances.append(apart.item())
        if frame_every and step % frame_every == 0:
            frames.append(to_uint8(images).cpu())
        if progress is not None:
            progress(step, distances[-1])
    with torch.no_grad():
        found = synthesize(w)
        distances.append(distance(found).item())
    if frame_every:
        frames.append(to_uint8(found).cpu())
    return Projection(
        ws=w.detach().expand(1, G.num_ws, -1).contiguous(),
        noise={name: value.detach() for name, value in noise.items()},
        image=found,
        distances=distances,
        frames=torch.cat(frames) if frames else torch.empty((0, *size), dtype=torch.uint8),
    )


def noise_penalty(maps: list[Tensor]) -> Tensor:
    """How alike neighbouring pixels of noise maps ``[h, w]`` are, summed over maps and scales (appendix D, eq. 3).

    ``(mean n(y, x)·n(y, x-1))² + (mean n(y, x)·n(y-1, x))²``, wrapping round; for maps above 8 pixels also of the half,
    the quarter, … down to 8, each the mean of 2×2 pixels times 2, which keeps the variance of white noise.
    """
    total = maps[0].new_zeros(())
    for n in maps:
        while True:
            total = total + sum((n * n.roll(1, axis)).mean().square() for axis in (0, 1))
            if min(n.shape) <= 8:
                break
            n = F.avg_pool2d(n[None, None], 2)[0, 0] * 2
    return total


@torch.no_grad()
def _normalize(maps: list[Tensor]) -> None:
    """Mean 0 and variance 1, in place."""
    for n in maps:
        n -= n.mean()
        n *= n.square().mean().rsqrt()


def _at_most(images: Tensor) -> Tensor:
    """Images of at most 256 pixels: blocks of pixels become their mean."""
    factor = -(-max(images.shape[2:]) // LARGEST)
    return images if factor == 1 else F.avg_pool2d(images, factor)
