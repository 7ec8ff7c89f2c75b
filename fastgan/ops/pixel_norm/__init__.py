"""pixel_norm: features of unit mean square. The maths is in this folder's README."""

from __future__ import annotations

import torch
from torch import Tensor

from fastgan.ops._checks import check_dim, check_eps, check_input
from fastgan.ops._family import define_family
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.pixel_norm import reference

__all__ = ["pixel_norm"]

define_family(
    "pixel_norm(Tensor x, int dim, float eps) -> Tensor y",
    reference,
    "fastgan.ops.pixel_norm",
    kernel=reference.pixel_norm_in_order,
    like=dict.fromkeys("xy", lambda given: torch.empty_like(given.x)),
)


def pixel_norm(x: Tensor, *, dim: int = 1, eps: float = 1e-8, backend: str | None = None) -> Tensor:
    """Return ``x / √(mean(x²) + eps)`` along ``dim``, so that each pixel has a mean square of 1.

    It is the pixel norm of Karras et al. 2018 (arXiv:1710.10196), section 4.2, differentiable to
    any order. Half types are computed in float32 and rounded once. The backward pass needs ``x``
    alone. The layer is :class:`fastgan.layers.PixelNorm`.

    ::

        x, z = torch.randn(8, 64, 32, 32), torch.randn(8, 512)
        x, z = ops.pixel_norm(x), ops.pixel_norm(z)

    Args:
        x: any rank, usually ``[N, C, H, W]`` or ``[N, C]``; float16, bfloat16, float32 or float64.
            Dense layouts run without a copy, and the result has their strides. Other strides are
            copied once.
        dim: the dimension of the features.
        eps: term added to the mean square; finite and above 0.
        backend: ``reference``, ``cpu``, ``triton`` or ``cuda``. None takes the one of
            :func:`fastgan.ops.use_backend`, then of the environment variable ``FASTGAN_BACKEND``,
            then the automatic choice. Under functorch transforms (``torch.func``) and forward-mode
            AD every choice means ``reference``.

    Returns:
        Tensor of the shape and dtype of ``x``, under autocast too.

    Raises:
        TypeError: ``x`` isn't a tensor of a supported dtype, or ``eps`` is no number.
        ValueError: ``x`` is a scalar tensor, or ``dim`` or ``eps`` is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_input(x)
    dim = check_dim(x, dim)
    check_eps(eps)
    eps = float(eps)
    chosen = choose_backend("pixel_norm", x.device, backend)
    if chosen == "reference":
        return reference.pixel_norm(x, dim, eps)
    return ops_of(chosen).pixel_norm(x, dim, eps)
