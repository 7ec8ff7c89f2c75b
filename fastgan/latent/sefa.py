"""Directions in w that change an image most, from the weights alone: SeFa, Shen & Zhou 2021."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.latent.styles import Layers, layers_of
from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.networks.stylegan3 import StyleGAN3Generator
from fastgan.nn import EqualLinear


class Directions(NamedTuple):
    """Directions in w, strongest first."""

    directions: Tensor
    """Orthonormal vectors, float32 ``[count, w_dim]``."""
    strengths: Tensor
    """``‖A·n‖²`` of each direction n, float32 ``[count]``."""


@torch.no_grad()
def sefa(
    G: StyleGAN2Generator | StyleGAN3Generator, layers: Layers | None = None, count: int = 5
) -> Directions:
    """Find the unit vectors n that move the styles ``A·w`` of layers furthest.

    They are the eigenvectors of ``AᵀA``. A stacks the weights of the affine layers of the chosen
    styles: those of convolutions, and of the image layers with the same styles. An edit is
    ``w + a·n`` in those styles. The largest component of n is positive. The meaning of a direction
    has to be judged from images.

    Args:
        G: the generator.
        layers: styles to move (see :func:`layers_of`); None for all.
        count: number of directions, 1 to w_dim.

    Raises:
        LatentError: the generator has no such layers.
        ValueError: ``count`` is out of range.
    """
    if not 1 <= count <= G.w_dim:
        raise ValueError(f"count must be from 1 to the size of w, {G.w_dim}, got {count}")
    chosen = range(G.num_ws) if layers is None else layers_of(layers, G.num_ws)
    affines = affine_layers(G)
    a = torch.cat([affine.weight.double() for layer in chosen for affine in affines[layer]])
    # In ascending order.
    values, vectors = torch.linalg.eigh(a.T @ a)
    directions = vectors.T.flip(0)[:count]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return Directions((directions * largest.sign()).float(), values.flip(0)[:count].float())


def affine_layers(G: StyleGAN2Generator | StyleGAN3Generator) -> list[list[EqualLinear]]:
    """Return the affine layers of each style: those of a convolution and of an image layer.

    A block's image layer shares its style with the first convolution of the next block. In a
    StyleGAN3 each style has one layer, the first one's being that of the Fourier features.
    """
    if isinstance(G, StyleGAN3Generator):
        return [[G.synthesis.input.affine], *([layer.affine] for layer in G.synthesis.layers())]
    affines: list[list[EqualLinear]] = [[] for _ in range(G.num_ws)]
    layer = 0
    for block in G.synthesis.blocks():
        for conv in (block.conv0, block.conv1):
            if conv is not None:
                affines[layer].append(conv.affine)
                layer += 1
        affines[layer].append(block.torgb.affine)
    return affines
