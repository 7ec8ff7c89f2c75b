"""Directions in w that change an image most, from the weights alone (Shen & Zhou 2021, SeFa)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastgan.latent.styles import Layers, layers_of
from fastgan.networks.stylegan2 import StyleGAN2Generator
from fastgan.nn import EqualLinear


class Directions(NamedTuple):
    """directions: float32 ``[count, w_dim]``, orthonormal. strengths: float32 ``[count]``, falling: ``‖A·n‖²`` of each."""

    directions: Tensor
    strengths: Tensor


@torch.no_grad()
def sefa(G: StyleGAN2Generator, layers: Layers | None = None, count: int = 5) -> Directions:
    """The unit vectors n that move the styles ``A·w`` of the chosen layers furthest: eigenvectors of ``AᵀA``.

    A holds the affine layers' weights, one below the other: of the convolutions that take the chosen styles and of the
    layers that make the image from the same ones. An edit is ``w + a·n`` in those styles. The sign is fixed by making
    the largest component positive; what a direction means has to be looked at.

    Args:
        layers: as in :func:`layers_of`; None for all.
        count: how many, from the strongest; at most w_dim.

    Raises:
        LatentError: the generator has no such layers.
        ValueError: ``count`` is out of range.
    """
    if not 1 <= count <= G.w_dim:
        raise ValueError(f"count must be from 1 to the size of w, {G.w_dim}, got {count}")
    chosen = range(G.num_ws) if layers is None else layers_of(layers, G.num_ws)
    affines = affine_layers(G)
    a = torch.cat([affine.weight.double() for layer in chosen for affine in affines[layer]])
    values, vectors = torch.linalg.eigh(a.T @ a)  # rising
    directions = vectors.T.flip(0)[:count]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return Directions((directions * largest.sign()).float(), values.flip(0)[:count].float())


def affine_layers(G: StyleGAN2Generator) -> list[list[EqualLinear]]:
    """The affine layers that take each style, by its number: a convolution's, and of the layer that makes the image.

    A block's image layer shares its style with the first convolution of the block after it.
    """
    affines: list[list[EqualLinear]] = [[] for _ in range(G.num_ws)]
    layer = 0
    for block in G.synthesis.blocks():
        for conv in (block.conv0, block.conv1):
            if conv is not None:
                affines[layer].append(conv.affine)
                layer += 1
        affines[layer].append(block.torgb.affine)
    return affines
