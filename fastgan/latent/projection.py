"""Projection of an image to the latent space (Karras et al. 2020, appendix D)."""

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
from fastgan.networks.stylegan3 import StyleGAN3Generator

LARGEST = 256
"""Largest height and width in pixels for distances; larger images are averaged down."""


@dataclass(frozen=True)
class Projection:
    """Result of :func:`project`."""

    ws: Tensor
    """Styles ``[1, num_ws, w_dim]``."""
    noise: dict[str, Tensor]
    """Noise maps ``[h, w]`` by the names of ``G.synthesis``' buffers.

    Load them with ``G.synthesis.load_state_dict(noise, strict=False)``.
    """
    image: Tensor
    """Image of the styles and noise maps, ``[1, C, H, W]``."""
    distances: list[float]
    """Distances to the target before each step, and that of ``image``."""
    frames: Tensor
    """Images during the optimisation, uint8 ``[F, C, H, W]``."""


@dataclass(frozen=True)
class Schedule:
    """Schedules of learning rate and noise on w for :func:`project`.

    Durations are shares of all steps.
    """

    learning_rate: float = 0.1
    """Largest learning rate."""
    ramp_up: float = 0.05
    """Duration of the linear rise of the learning rate from 0."""
    ramp_down: float = 0.25
    """Duration of the learning rate's fall to 0 along a cosine."""
    w_noise: float = 0.05
    """Deviation of the noise on w at the start, in units of w's own."""
    w_noise_share: float = 0.75
    """Duration of the noise, which falls to 0 as ``(1 - t)²``."""
    noise_weight: float = 1e5
    """Weight of the noise maps' penalty, α in the paper."""

    def rate(self, t: float) -> float:
        """Return the learning rate at the share ``t`` of all steps."""
        rising = min(1.0, t / self.ramp_up) if self.ramp_up else 1.0
        left = min(1.0, (1 - t) / self.ramp_down) if self.ramp_down else 1.0
        return self.learning_rate * rising * (0.5 - 0.5 * math.cos(math.pi * left))

    def deviation(self, t: float) -> float:
        """Return the deviation of the noise on w at the share ``t`` of all steps."""
        left = max(0.0, 1 - t / self.w_noise_share) if self.w_noise_share else 0.0
        return self.w_noise * left**2


@torch.enable_grad()
def project(
    G: StyleGAN2Generator | StyleGAN3Generator,
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
    """Find the styles and noise maps with which G's image is nearest to ``image``.

    Adam optimises w from its mean, with noise on w that fades. A penalty on the correlation of
    neighbouring pixels, at every scale, keeps the noise maps from carrying the picture. They are
    normalised to mean 0 and deviation 1 after each step. G isn't changed.

    Args:
        G: the generator.
        image: float32 ``[C, H, W]`` or ``[1, C, H, W]`` in [-1, 1], of the size of G's images.
        space: ``"w"`` for one w for all layers, as in G's own images, which edits expect. ``"w+"``
            for a w for each layer, which gets nearer to other images.
        steps: number of steps, at least 1.
        perceptual: distance to minimise, a function from two batches of images to ``[N]`` or a
            number, such as ``lpips.LPIPS()`` or a :class:`fastgan.metrics.PerceptualDistance`. None
            means the embedded network's. Images above 256 pixels are averaged down before.
        schedule: schedules; None means the paper's.
        w_statistics: mean and deviation of w; None estimates them from 10,000 samples.
        labels: labels for that estimate (see :func:`estimate_w_avg`).
        frame_every: steps between two frames of the result; 0 for none.
        generator: CPU generator of random numbers; None means torch's own.
        progress: function to call with each step, from 0, and the distance before it.

    Returns:
        Styles, noise maps and their image.

    Raises:
        ValueError: the image doesn't have G's size, or an argument is out of range.
    """
    target = image[None] if image.ndim == 3 else image
    size = (G.channels, *G.synthesis.image_size)
    if not target.is_floating_point() or tuple(target.shape) != (1, *size):
        raise ValueError(
            f"image must be floating-point {list(size)} in [-1, 1], "
            f"got {image.dtype} {list(image.shape)}; resize it, and convert uint8 with "
            f"fastgan.data.to_float"
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
    target = _reduce(target.to(device, torch.float32))
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
        return perceptual(_reduce(images), target).sum()

    variables = [w, *noise.values()]
    optimizer = torch.optim.Adam(variables)
    distances, frames = [], []
    for step in range(steps):
        t = step / steps
        optimizer.param_groups[0]["lr"] = schedule.rate(t)
        images = synthesize(w + schedule.deviation(t) * std * normal(w))
        to_target = distance(images)
        loss = to_target
        if noise:
            loss = loss + schedule.noise_weight * noise_penalty(list(noise.values()))
        for variable, gradient in zip(
            variables, torch.autograd.grad(loss, variables, allow_unused=True)
        ):
            variable.grad = gradient
        optimizer.step()
        _normalize(list(noise.values()))
        distances.append(to_target.item())
        if frame_every and step % frame_every == 0:
            frames.append(to_uint8(images).cpu())
        if progress is not None:
            progress(step, distances[-1])
    with torch.no_grad():
        result = synthesize(w)
        distances.append(distance(result).item())
    if frame_every:
        frames.append(to_uint8(result).cpu())
    return Projection(
        ws=w.detach().expand(1, G.num_ws, -1).contiguous(),
        noise={name: value.detach() for name, value in noise.items()},
        image=result,
        distances=distances,
        frames=torch.cat(frames) if frames else torch.empty((0, *size), dtype=torch.uint8),
    )


def noise_penalty(maps: list[Tensor]) -> Tensor:
    """Compute the correlation of neighbouring pixels, summed over maps and scales (eq. 3).

    At each scale it is ``(mean n(y, x)·n(y, x-1))² + (mean n(y, x)·n(y-1, x))²``, with wrapping.
    Maps above 8 pixels are halved until they have 8. A pixel of a halved map is the mean of 2x2
    pixels times 2, which keeps the variance of white noise.

    Args:
        maps: noise maps ``[h, w]``, at least one.

    Returns:
        A scalar.
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
    """Scale maps to mean 0 and variance 1 in place."""
    for n in maps:
        n -= n.mean()
        n *= n.square().mean().rsqrt()


def _reduce(images: Tensor) -> Tensor:
    """Average blocks of pixels so that images have at most ``LARGEST`` pixels a side."""
    factor = -(-max(images.shape[2:]) // LARGEST)
    return images if factor == 1 else F.avg_pool2d(images, factor)
