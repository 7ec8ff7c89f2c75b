"""spectral_norm in plain PyTorch: documentation, fallback and test oracle of the op."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops._numerics import accumulate_dtype

#: Normalised weights; their norms ``[layers]``; the new u and v of all layers in one row: u0, v0,
#: u1, v1, …
Normalised = tuple[list[Tensor], Tensor, Tensor]


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """Return a weight with outputs along ``dim`` as ``[out, rest]``, in the accumulation dtype."""
    rows = weight.shape[dim]
    matrix = weight.movedim(dim, 0).reshape(rows, weight.numel() // rows if rows else 0)
    return matrix.to(accumulate_dtype(weight.dtype))


def like_weight(matrix: Tensor, weight: Tensor, dim: int) -> Tensor:
    """Undo :func:`as_matrix`: return a contiguous tensor like ``weight``."""
    moved = weight.movedim(dim, 0).shape
    return matrix.reshape(moved).movedim(0, dim).to(weight.dtype).contiguous()


def sizes_of(weight: Tensor, dim: int) -> tuple[int, int]:
    """Return the lengths of u and v."""
    rows = weight.shape[dim]
    return rows, weight.numel() // rows if rows else 0


def split_vectors(
    vectors: Tensor, weights: Sequence[Tensor], dims: Sequence[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the u and the v of every layer, as views."""
    parts = vectors.split(
        [size for weight, dim in zip(weights, dims) for size in sizes_of(weight, dim)]
    )
    return list(parts[::2]), list(parts[1::2])


def power_iteration(
    matrix: Tensor, u: Tensor, v: Tensor, n_power_iterations: int, eps: float
) -> tuple[Tensor, Tensor]:
    """Repeat ``u ← Wv / ‖Wv‖``, ``v ← Wᵀu / ‖Wᵀu‖``."""
    for _ in range(n_power_iterations):
        u = F.normalize(torch.mv(matrix, v), dim=0, eps=eps)
        v = F.normalize(torch.mv(matrix.T, u), dim=0, eps=eps)
    return u, v


def spectral_norm(
    weights: Sequence[Tensor], us: Sequence[Tensor], vs: Sequence[Tensor], dims: Sequence[int],
    n_power_iterations: int, eps: float,
) -> Normalised:  # fmt: skip
    """Return ``W / σ`` with ``σ = uᵀWv`` after the iterations.

    Derivatives of any order take u and v as constants.
    """
    normalised, sigmas, vectors = [], [], []
    for weight, u, v, dim in zip(weights, us, vs, dims):
        matrix = as_matrix(weight, dim)
        u, v = power_iteration(
            matrix.detach(),
            u.detach().to(matrix.dtype),
            v.detach().to(matrix.dtype),
            n_power_iterations,
            eps,
        )
        sigma = torch.dot(u, torch.mv(matrix, v))
        normalised.append(like_weight(matrix / sigma, weight, dim))
        sigmas.append(sigma)
        vectors += [u, v]
    return normalised, torch.stack(sigmas), torch.cat(vectors)


# The derivatives written out: they stand in for missing native kernels.


def spectral_norm_backward(
    grads: Sequence[Tensor], dsigmas: Tensor | None, weights: Sequence[Tensor], sigmas: Tensor,
    vectors: Tensor, dims: Sequence[int],
) -> list[Tensor]:  # fmt: skip
    """Return ``dW = G/σ + (dσ - ⟨G, W⟩/σ²) · u vᵀ`` for each layer."""
    us, vs = split_vectors(vectors, weights, dims)
    found = []
    for i, (grad, weight, u, v, dim) in enumerate(zip(grads, weights, us, vs, dims)):
        g, w, sigma = as_matrix(grad, dim), as_matrix(weight, dim), sigmas[i]
        along = -(g * w).sum() / sigma.square()
        along = along if dsigmas is None else along + dsigmas[i]
        found.append(like_weight(g / sigma + along * torch.outer(u, v), weight, dim))
    return found


def spectral_norm_double_backward(
    ddweights: Sequence[Tensor], grads: Sequence[Tensor], weights: Sequence[Tensor], sigmas: Tensor,
    vectors: Tensor, dims: Sequence[int], need_dweights: bool,
) -> tuple[list[Tensor], Tensor, list[Tensor], Tensor]:  # fmt: skip
    """Return the second derivatives of each layer.

    With ``h = uᵀHv`` they are::

        dG = H/σ - h/σ²·W        ddσ = h        dW = -h/σ²·G        dσ = 2h⟨G, W⟩/σ³ - ⟨H, G⟩/σ²
    """
    us, vs = split_vectors(vectors, weights, dims)
    dgrads, dweights, ddsigmas, dsigmas = [], [], [], []
    for i, (ddweight, grad, weight, u, v, dim) in enumerate(
        zip(ddweights, grads, weights, us, vs, dims)
    ):
        d, g, w, sigma = (
            as_matrix(ddweight, dim),
            as_matrix(grad, dim),
            as_matrix(weight, dim),
            sigmas[i],
        )
        h = torch.dot(u, torch.mv(d, v))
        bend = h / sigma.square()
        dgrads.append(like_weight(d / sigma - bend * w, weight, dim))
        if need_dweights:
            dweights.append(like_weight(-bend * g, weight, dim))
        ddsigmas.append(h)
        dsigmas.append(2 * bend * (g * w).sum() / sigma - (d * g).sum() / sigma.square())
    return dgrads, torch.stack(ddsigmas), dweights, torch.stack(dsigmas)
