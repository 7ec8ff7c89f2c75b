"""grid_sample: sample images at points of a grid. The maths is in this folder's README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fastgan.ops._family import define_family
from fastgan.ops._layout import image_like
from fastgan.ops._library import choose_backend, ops_of
from fastgan.ops.grid_sample import reference
from fastgan.ops.grid_sample.arguments import check_image, check_settings, fitting_grid

__all__ = ["grid_sample"]


def _saved(needs: Sequence[bool], y: Tensor, x: Tensor, grid: Tensor, *settings: Any) -> Any:
    return x if needs[1] else None, grid, list(x.shape[2:])


def _needed(wanted: Sequence[bool], directions: Any, settings: Any) -> tuple[bool, ...]:
    need_ddy, need_dx, need_dgrid = wanted
    return need_ddy, need_dx and directions[1] is not None, need_dgrid


# The grid has the accumulation dtype of the images.
define_family(
    "grid_sample(Tensor x, Tensor grid, str mode, str padding_mode, bool align_corners) -> "
    "Tensor y",
    reference,
    "fastgan.ops.grid_sample",
    saved="Tensor? x, Tensor grid, SymInt[] size",
    save=_saved,
    flags=("dx dgrid", "ddy dx dgrid"),
    needed=_needed,
    like={
        "y": lambda given: image_like(
            given.x if given.dy is None else given.dy, given.grid.shape[1:3]
        ),
        "x": lambda given: image_like(given.dy, given.size),
        "grid": lambda given: given.grid.new_empty(given.grid.shape),
    },
)


def grid_sample(
    x: Tensor,
    grid: Tensor,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Return ``torch.nn.functional.grid_sample(x, grid)``, differentiable to any order.

    Each point is the mean of the four pixels around it, weighted by closeness, as in spatial
    transformers (Jaderberg et al. 2015). Half types are computed in float32 and rounded once.
    Results and gradients are the same bits on every run.

    R1 through warped images, as in adaptive discriminator augmentation (Karras et al. 2020,
    "Training Generative Adversarial Networks with Limited Data"), takes a second derivative. Torch
    before 2.12 has none, and later releases compose it from dozens of operations. Here it is one
    pass. A non-finite incoming gradient makes its image's gradient NaN there.

    ::

        turn = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]]).expand(2, 2, 3)  # 90 degrees
        grid = torch.nn.functional.affine_grid(turn, [2, 3, 32, 32], align_corners=False)
        y = ops.grid_sample(torch.randn(2, 3, 32, 32), grid, padding_mode="reflection")

    Args:
        x: ``[N, C, H, W]`` with at least one pixel; float16, bfloat16, float32 or float64.
            Contiguous and channels_last images run without a copy, and the result has their layout.
            Other strides give a contiguous result.
        grid: ``[N, Ho, Wo, 2]``, points (x, y) from -1 at the left or upper edge of the image to 1
            at the other edge. Its dtype is that of ``x``, or float32 for half types, which are
            coarse: 1/8 pixel at 256. Under autocast it is cast to float32.
        mode: ``"bilinear"``, or ``"nearest"``, which takes the even pixel at halves and has a zero
            gradient in ``grid``.
        padding_mode: pixels beyond the image: ``"zeros"``; ``"border"`` for those of its edge;
            ``"reflection"`` for the image mirrored repeatedly. The gradient in a coordinate that
            the border stops is 0.
        align_corners: True if -1 and 1 are the centres of the outermost pixels, not their outer
            edges.
        backend: as in :func:`fastgan.ops.bias_act`.

    A coordinate that isn't finite lies beyond the image. With ``"zeros"`` its point is 0, as on
    torch's GPUs. Infinity is the edge with ``"border"``; all else is the first pixel. If a point
    lies exactly on a pixel, the derivative in ``grid`` is that of its right, or lower, side.

    Returns:
        ``[N, C, Ho, Wo]``, of the dtype of ``x``, under autocast too.

    Raises:
        TypeError: ``x`` or ``grid`` isn't a tensor of a supported dtype, or their dtypes don't fit.
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
