"""Pixel norm: features of unit mean square at each pixel. The maths is in this folder's README."""

from __future__ import annotations

import math

from torch import Tensor

from fastgan.ops._checks import check_input, kind
from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.pixel_norm import reference, schema  # noqa: F401

__all__ = ["pixel_norm"]


def pixel_norm(x: Tensor, *, dim: int = 1, eps: float = 1e-8, backend: str | None = None) -> Tensor:
    """``x / √(mean(x²) + eps)`` along ``dim``: the features of each pixel get a mean square of 1.

    Karras et al. 2018 (arXiv:1710.10196), section 4.2. Differentiable to any order. Half types are computed in float32 and
    rounded once. For backward ``x`` alone is saved.

    Args:
        x: any rank and strides, usually ``[N, C, H, W]`` or ``[N, C]``; float16, bfloat16, float32 or float64. Every dense
            layout runs as it is, and the result has its strides; other strides are copied once.
        dim: the dimension of the features.
        eps: added to the mean square; finite and above 0.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``x``, under autocast too: the op runs in the dtype that ``x`` comes in.

    Raises:
        TypeError: ``x`` is not a tensor of a supported dtype, or ``eps`` is no number.
        ValueError: ``x`` is a scalar tensor, or ``dim`` or ``eps`` is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_input(x)
    if x.ndim == 0:
        raise ValueError(
            "x must have at least one dimension, got a scalar tensor; use x.reshape(1)"
        )
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(
            f"dim must be from {-x.ndim} to {x.ndim - 1} for x of rank {x.ndim}, got {dim}"
        )
    if isinstance(eps, bool) or not isinstance(eps, (int, float)):
        raise TypeError(f"eps must be a number, got {kind(eps)}")
    if not 0 < eps < math.inf:
        raise ValueError(f"eps must be a finite number above 0, got {eps}")
    dim, eps = dim % x.ndim, float(eps)
    chosen = choose_backend("pixel_norm", x.device, backend)
    if chosen == "reference":
        return reference.pixel_norm(x, dim, eps)
    return ops_of(chosen).pixel_norm(x, dim, eps)
