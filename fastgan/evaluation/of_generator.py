"""Figures of a generator without real images: path lengths, equivariance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from fastgan.inference.capabilities import steering
from fastgan.latent import perceptual_path_length
from fastgan.metrics import (
    PerceptualDistance,
    equivariance,
)
from fastgan.metrics.equivariance import Equivariance
from fastgan.recipes import Networks

EPSILON = 1e-4
SHARING = 4
"""Images that share a motion, when equivariance is measured."""


def path_lengths(recipe: Any, networks: Networks, count: int, *, seed: int) -> dict[str, float]:
    """Return path lengths in z, and in w if there is one; paths are drawn by index."""
    G: Any = networks["G"]
    device = next(G.parameters()).device
    generator = Generator().manual_seed(seed)
    ends, places, classes = [], [], []
    for _ in range(count):
        ends.append(torch.randn(2, G.z_dim, generator=generator))
        places.append(torch.rand((), generator=generator))
        if G.c_dim:
            classes.append(torch.randint(G.c_dim, (), generator=generator))
    a, b = torch.stack(ends).to(device).unbind(1)
    t = torch.stack(places).to(device)
    labels = (torch.stack(classes).to(device),) if classes else ()
    distance = PerceptualDistance().to(device)

    def images_of(z: Tensor, *labels: Tensor) -> Tensor:
        images: Tensor = recipe.images_of(networks, z, *labels)
        return images

    def images_of_w(w: Tensor) -> Tensor:
        images: Tensor = G.synthesis(w.expand(-1, G.num_ws, -1), noise_mode="const")
        return images

    found = {
        "ppl_z": perceptual_path_length(
            images_of, a, b, t, *labels, distance=distance, space="z", epsilon=EPSILON
        )
    }
    if "interpolate" in steering(G):
        w_a, w_b = (G.mapping(z, *labels)[:, :1] for z in (a, b))
        found["ppl_w"] = perceptual_path_length(
            images_of_w, w_a, w_b, t, distance=distance, space="w", epsilon=EPSILON
        )
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def equivariance_of(networks: Networks, metric: Equivariance, count: int, *, seed: int) -> float:
    """Return the equivariance of G in dB, over images of `count` latents drawn by index."""
    G: Any = networks["G"]
    device = next(G.parameters()).device
    generator = Generator().manual_seed(seed)

    def batches() -> Iterator[Tensor]:
        for start in range(0, count, SHARING):
            number = min(SHARING, count - start)
            z = torch.randn(number, G.z_dim, generator=generator).to(device)
            labels = (torch.randint(G.c_dim, (number,), generator=generator),) if G.c_dim else ()
            yield G.mapping(z, *(t.to(device) for t in labels))

    def images_of(ws: Tensor, transform: Tensor | None) -> Tensor:
        images: Tensor = G.synthesis(ws, transform=transform)
        return images

    found = equivariance(images_of, batches(), metric, G.resolution, generator)
    return float(f"{found:.6g}")
