"""grid_sample: images sampled at given points, with derivatives of any order. The maths is in this folder's README."""

from __future__ import annotations

from torch import Tensor

from fastgan.ops._library import choose_backend, ops_of

# Importing schema registers the ops.
from fastgan.ops.grid_sample import reference, schema  # noqa: F401
from fastgan.ops.grid_sample.arguments import check_image, check_settings, fitting_grid

__all__ = ["grid_sample"]


def grid_sample(
    x: Tensor,
    grid: Tensor,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    backend: str | None = None,
) -> Tensor:
    """The values of ``torch.nn.functional.grid_sample``, differentiable to any order in ``x`` and in ``grid``.

    R1 through a warped image, as adaptive discriminator augmentation needs it (Karras et al. 2020, "Training Generative
    Adversarial Networks with Limited Data"), takes a second derivative: torch before 2.12 or so has none, later ones put it
    together from dozens of operations, here it is one pass. Sampling as in spatial transformers (Jaderberg et al. 2015):
    each point is the mean of the four pixels around it, weighted by closeness. Half types are computed in float32 and
    rounded once; results are the same bit for bit every time, gradients included.

    Args:
        x: ``[N, C, H, W]`` with at least one pixel; float16, bfloat16, float32 or float64. Contiguous and channels_last run
            as they are and the result has the same layout; other strides give a contiguous result.
        grid: ``[N, Ho, Wo, 2]``, the points as (x, y): -1 and 1 are the left and right, or upper and lower, edges of the
            image. Of the dtype of ``x``, or float32 for half types, which are coarse for places: 1/8 pixel at 256.
        mode: ``"bilinear"``, or ``"nearest"`` (halfway, the even pixel), which has a zero gradient in ``grid``.
        padding_mode: what is beyond the image: ``"zeros"``; ``"border"``, the pixels of its edge; ``"reflection"``, the
            image mirrored, again and again. The gradient in a coordinate that the border stops is 0.
        align_corners: whether -1 and 1 are the centres of the outermost pixels, not their outer edges.
        backend: as in :func:`fastgan.ops.bias_act`.

    A coordinate that is not finite lies beyond the image: its point is 0 with ``"zeros"``, as on torch's GPUs; else infinity
    is the edge with ``"border"``, and everything else the first pixel. Where a point lies exactly on a pixel, the derivative
    in ``grid`` is that of its right, or lower, side.

    Under autocast the op runs in the dtype that ``x`` comes in, and ``grid`` is cast to float32.

    Returns:
        ``[N, C, Ho, Wo]``, of the dtype of ``x``.

    Raises:
        TypeError: ``x`` or ``grid`` is not a tensor of a supported dtype, or their dtypes do not fit.
        ValueError: a shape, device or setting is out of range.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_image(x)
    grid = fitting_grid(grid, x)
    check_settings(mode, padding_mode, align_corners)
    chosen = choose_backend("grid_sample", x.device, backend)
    if chosen == "reference":
        return reference.grid_sample(x, grid, mode, padding_mode, align_corners)
    return ops_of(chosen).grid_sample(x, grid, mode, padding_mode, align_corners)
