"""Registration of grid_sample and its derivatives: schemas, fake kernels, autograd.

``grid`` has the accumulation dtype of the images. It is saved for backward, and so is the image if
the grid needs a gradient. In a derivative, None counts as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgan.ops._layout import memory_format
from fastgan.ops._library import define
from fastgan.ops.grid_sample import reference

Gradients = tuple[Tensor | None, ...]
_SETTINGS = "str mode, str padding_mode, bool align_corners"


def _images(like: Tensor, size: Sequence[int]) -> Tensor:
    """Return empty images of ``size`` in the layout of ``like[N, C, ...]``."""
    shape = (*like.shape[:2], *size)
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=memory_format(like)
    )


def _only(results: Sequence[Tensor], needs: Sequence[bool]) -> Gradients:
    return tuple(t if need else None for t, need in zip(results, needs))


# ----------------------------------------------------------------------------------- forward


def _fake(x: Tensor, grid: Tensor, *settings: Any) -> Tensor:
    return _images(x, grid.shape[1:3])


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, grid, *ctx.settings = inputs
    ctx.size = list(x.shape[2:])
    ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, grid)


def _backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, grid = ctx.saved_tensors
    needs = ctx.needs_input_grad[:2]
    image = x if needs[1] else None
    results = ops.grid_sample_backward(dy, image, grid, ctx.size, *ctx.settings, *needs)
    return (*_only(results, needs), None, None, None)


define(
    f"grid_sample(Tensor x, Tensor grid, {_SETTINGS}) -> Tensor",
    reference,
    fake=_fake,
    setup_context=_context,
    backward=_backward,
    triton="fastgan.ops.grid_sample",
)


# -------------------------------------------------------------------------- first derivative


def _first_fake(
    dy: Tensor, x: Any, grid: Tensor, size: Sequence[int], mode: str, padding_mode: str,
    align_corners: bool, need_dx: bool, need_dgrid: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    dx = _images(dy, size) if need_dx else dy.new_empty(0)
    return dx, grid.new_empty(grid.shape if need_dgrid else 0)


def _first_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    dy, x, grid, ctx.size, *ctx.settings, need_dx, need_dgrid = inputs
    ctx.has = need_dx, need_dgrid
    # Nothing is computed for directions that are absent.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dy, x, grid)


def _first_backward(ops: Any, ctx: Any, *dd: Tensor | None) -> Gradients:
    dy, x, grid = ctx.saved_tensors
    ddx, ddgrid = (t if has else None for t, has in zip(dd, ctx.has))
    need_ddy, need_dx, need_dgrid = ctx.needs_input_grad[:3]
    needs = need_ddy, need_dx and ddgrid is not None, need_dgrid
    results = ops.grid_sample_double_backward(
        ddx, ddgrid, dy, x, grid, ctx.size, *ctx.settings, *needs
    )
    return _only(results, needs) + (None,) * 6


define(
    f"grid_sample_backward(Tensor dy, Tensor? x, Tensor grid, SymInt[] size, {_SETTINGS}, bool "
    "need_dx, bool need_dgrid) -> (Tensor, Tensor)",
    reference,
    fake=_first_fake,
    setup_context=_first_context,
    backward=_first_backward,
    triton="fastgan.ops.grid_sample",
)


# ------------------------------------------------------------------------- second derivative


def _second_fake(
    ddx: Any, ddgrid: Any, dy: Tensor, x: Any, grid: Tensor, size: Sequence[int], mode: str,
    padding_mode: str, align_corners: bool, need_ddy: bool, need_dx: bool, need_dgrid: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    ddy = _images(dy, grid.shape[1:3]) if need_ddy else dy.new_empty(0)
    return ddy, *_first_fake(
        dy, x, grid, size, mode, padding_mode, align_corners, need_dx, need_dgrid
    )


def _second_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.size, mode, padding_mode, align_corners, need_ddy, need_dx, need_dgrid = inputs
    ctx.settings = mode, padding_mode, align_corners
    ctx.has = need_ddy, need_dx, need_dgrid
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors)


def _second_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    """Third order, in plain torch, by the README's formulas; ``turn`` holds the terms of S_xy."""
    ddx, ddgrid, dy, x, grid = ctx.saved_tensors
    at = reference.Places(grid, ctx.size, *ctx.settings)
    v = reference.flat(dy)
    no_pixels = v.new_zeros(*v.shape[:2], ctx.size[0] * ctx.size[1])
    e, f, h = (g if has else None for g, has in zip(grads, ctx.has))
    e = torch.zeros_like(v) if e is None else reference.flat(e)
    a, f, pixels = (no_pixels if t is None else reference.flat(t) for t in (ddx, f, x))
    (bx, by), (hx, hy) = (
        (torch.zeros_like(grid) if t is None else t).flatten(1, 2)[:, None].unbind(-1)
        for t in (ddgrid, h)
    )

    def slopes(pixels: Tensor) -> tuple[Tensor, Tensor]:
        return at.gather(pixels, 1, 0), at.gather(pixels, 0, 1)

    (ax, ay), (fx, fy), (px, py) = slopes(a), slopes(f), slopes(pixels)
    turn_a, turn_f, turn = (at.gather(t, 1, 1) for t in (a, f, pixels))
    in_a = at.scatter(e) + at.scatter(hx * v, 1, 0) + at.scatter(hy * v, 0, 1)
    in_b = e * px + v * fx + hy * v * turn, e * py + v * fy + hx * v * turn
    in_dy = bx * fx + by * fy + hx * (ax + by * turn) + hy * (ay + bx * turn)
    in_x = (
        at.scatter(bx * e, 1, 0)
        + at.scatter(by * e, 0, 1)
        + at.scatter((hx * by + hy * bx) * v, 1, 1)
    )
    in_grid = (
        e * (ax + by * turn) + v * (by * turn_f + hy * turn_a),
        e * (ay + bx * turn) + v * (bx * turn_f + hx * turn_a),
    )

    def of_grid(along: tuple[Tensor, Tensor]) -> Tensor:
        return torch.stack([t.sum(1) for t in along], -1).reshape(grid.shape)

    return (
        None if ddx is None else reference.image(in_a, ctx.size, dy),
        None if ddgrid is None else of_grid(in_b),
        reference.image(in_dy, grid.shape[1:3], dy),
        None if x is None else reference.image(in_x, ctx.size, dy),
        of_grid(in_grid),
    ) + (None,) * 7


define(
    "grid_sample_double_backward(Tensor? ddx, Tensor? ddgrid, Tensor dy, Tensor? x, Tensor grid, "
    f"SymInt[] size, {_SETTINGS}, bool need_ddy, bool need_dx, bool need_dgrid) -> (Tensor, "
    "Tensor, Tensor)",
    reference,
    fake=_second_fake,
    setup_context=_second_context,
    backward=_second_backward,
    triton="fastgan.ops.grid_sample",
)
