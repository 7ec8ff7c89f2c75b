# mypy: disable-error-code="no-untyped-def, name-defined"
"""Both ops and their derivatives in Triton, by one kernel that sweeps over memory.

The large tensors are matrices ``[samples, elements]``, one tile per program. Each tile writes its
sum over the elements to a place of its own, and torch adds those up in a fixed order. A penalty's
second derivative needs such a sum in its result, and sweeps twice.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._triton import ACCUMULATE, SUMS, in_order_of, on_device, power_of_two
from fastgan.ops.gradient_penalty.reference import result_like, shrinkage


@triton.jit
def _read(ptr, at, inside, ACC: tl.constexpr):
    """Load elements; zeros for a tensor that is None."""
    if ptr is None:
        values = tl.zeros(at.shape, ACC)
    else:
        values = tl.load(ptr + at, inside, 0.0).to(ACC)
    return values


@triton.jit
def sweep_kernel(
    x_ptr, y_ptr, u_ptr, w_ptr, g_ptr, out_ptr, out_x_ptr, out_y_ptr, partial_ptr,
    alpha_ptr, ddalpha_ptr, dpenalty_ptr, norm_ptr, total_ptr,
    # Without this type, floats arrive as float32.
    center: tl.float64, samples, elements, tiles,
    PASS: tl.constexpr, ACC: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Run a sweep of csrc/gradient_penalty/problem.h.

    ``PASS`` is 0 for forward, 1 for backward, 2 for double_backward. Pointers that a pass doesn't
    need are None.
    """
    tile = tl.program_id(0)
    sample = (tile // tiles) * ROWS + tl.arange(0, ROWS)
    column = (tile % tiles) * COLUMNS + tl.arange(0, COLUMNS)
    there = sample < samples
    inside = there[:, None] & (column < elements)[None, :]
    at = sample.to(tl.int64)[:, None] * elements + column[None, :]
    p = tl.zeros((ROWS,), ACC)
    q = p
    c = p
    unit = p + 1.0
    if alpha_ptr is not None:
        p = tl.load(alpha_ptr + sample, there, 0.0).to(ACC)
        q = 1.0 - p
        if ddalpha_ptr is not None:
            c = tl.load(ddalpha_ptr + sample, there, 0.0).to(ACC)
    elif dpenalty_ptr is not None:
        norm = tl.load(norm_ptr + sample, there, 1.0)
        zero = norm == 0
        unit = tl.where(zero, 0.0, 1.0 / tl.where(zero, 1.0, norm))
        center = tl.full((), center, ACC)
        twice = 2.0 * tl.load(dpenalty_ptr + sample, there, 0.0)
        kept = tl.where(zero, 0.0, 1.0 - center / tl.where(zero, 1.0, norm))
        p = twice * tl.where(center == 0, 1.0, kept)
        if total_ptr is not None:
            q = twice * (center * unit) * (tl.load(total_ptr + sample, there, 0.0) * unit)

    x = _read(x_ptr, at, inside, ACC)
    y = _read(y_ptr, at, inside, ACC)
    if PASS == 0:
        out = p[:, None] * x + q[:, None] * (unit[:, None] * y)
        tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), inside)
    else:
        g = _read(g_ptr, at, inside, ACC)
        if PASS == 2:
            if out_ptr is not None:
                turn = _read(u_ptr, at, inside, ACC) - _read(w_ptr, at, inside, ACC)
                out = p[:, None] * x + q[:, None] * y + c[:, None] * turn
                tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), inside)
            p = c
            q = -c
        if out_x_ptr is not None:
            tl.store(out_x_ptr + at, (p[:, None] * g).to(out_x_ptr.dtype.element_ty), inside)
        if out_y_ptr is not None:
            tl.store(out_y_ptr + at, (q[:, None] * g).to(out_y_ptr.dtype.element_ty), inside)
        if partial_ptr is not None:
            tl.store(
                partial_ptr + sample.to(tl.int64) * tiles + tile % tiles,
                tl.sum(g * (x - y), 1),
                there,
            )


def blocks(samples: int, elements: int, order: int, dtype: torch.dtype) -> tuple[int, int]:
    """Return the rows and columns of a tile: 16 elements per thread of 4 warps.

    They are half as many for float64 and for second derivatives.
    """
    tile = 2048 // (2 if dtype == torch.float64 else 1) // (2 if order == 2 else 1)
    columns = min(power_of_two(elements), tile)
    return min(power_of_two(samples), tile // columns), columns


def _sweep(
    order: int,
    like: Tensor,
    *,
    sum_wanted: bool = False,
    center: float = 0.0,
    **tensors: Tensor | None,
) -> Tensor:
    """Run a pass over tensors in the memory order of ``like``.

    Returns:
        The sum of each sample, empty unless wanted.
    """
    samples = like.shape[0]
    sums = SUMS[like.dtype]
    if not like.numel():
        return like.new_zeros(samples if sum_wanted else 0, dtype=sums)
    elements = like.numel() // samples
    rows, columns = blocks(samples, elements, order, like.dtype)
    tiles = triton.cdiv(elements, columns)
    programs = triton.cdiv(samples, rows) * tiles
    if max(programs, samples + rows, elements + columns) > 2**31 - 1:
        raise ValueError(
            f"gradient_penalty: a tensor of shape {list(like.shape)} is too large for one launch; "
            "split it"
        )
    partial = torch.empty((samples, tiles), dtype=sums, device=like.device) if sum_wanted else None
    big = [tensors.get(name) for name in ("x", "y", "u", "w", "g", "out", "out_x", "out_y")]
    numbers = [tensors.get(name) for name in ("alpha", "ddalpha", "dpenalty", "norm", "total")]
    numbers = [None if t is None else t.contiguous() for t in numbers]
    with on_device(like):
        sweep_kernel[(programs,)](
            *big, partial, *numbers, center, samples, elements, tiles,
            PASS=order, ACC=ACCUMULATE[like.dtype], ROWS=rows, COLUMNS=columns,
        )  # fmt: skip
    return like.new_empty(0, dtype=sums) if partial is None else partial.sum(1)


def _in_order(layout: Tensor, *tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else in_order_of(t, layout) for t in tensors]


def _given(t: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if t is None else t


# ------------------------------------------------------------------------------- lerp_samples


def lerp_samples(real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    y = result_like(real)
    x, other = _in_order(y, real, fake)
    _sweep(0, y, x=x, y=other, alpha=alpha, out=y)
    return y


def lerp_samples_backward(
    dy: Tensor, real: Tensor | None, fake: Tensor | None, alpha: Tensor, need_dreal: bool,
    need_dfake: bool, need_dalpha: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    dreal, dfake = (result_like(dy) if need else None for need in (need_dreal, need_dfake))
    layout = result_like(dy)
    x, y, g = _in_order(layout, real if need_dalpha else None, fake if need_dalpha else None, dy)
    total = _sweep(
        1, layout, sum_wanted=need_dalpha, x=x, y=y, g=g, alpha=alpha, out_x=dreal, out_y=dfake
    )
    return _given(dreal, dy), _given(dfake, dy), total.to(dy.dtype)


def lerp_samples_double_backward(
    ddreal: Tensor | None, ddfake: Tensor | None, ddalpha: Tensor | None, dy: Tensor,
    real: Tensor | None, fake: Tensor | None, alpha: Tensor, need_ddy: bool, need_dreal: bool,
    need_dfake: bool, need_dalpha: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    results = [result_like(dy) if need else None for need in (need_ddy, need_dreal, need_dfake)]
    layout = result_like(dy)
    bends = need_ddy and ddalpha is not None
    x, y, u, w, g = _in_order(
        layout, ddreal, ddfake, real if bends else None, fake if bends else None,
        dy if need_dreal or need_dfake or need_dalpha else None,
    )  # fmt: skip
    total = _sweep(
        2, layout, sum_wanted=need_dalpha, x=x, y=y, u=u, w=w, g=g, alpha=alpha, ddalpha=ddalpha,
        out=results[0], out_x=results[1], out_y=results[2],
    )  # fmt: skip
    ddy, dreal, dfake = (_given(t, dy) for t in results)
    return ddy, dreal, dfake, total.to(dy.dtype)


# ------------------------------------------------------------------------- grad_norm_penalty


def grad_norm_penalty(grad: Tensor, center: float) -> tuple[Tensor, Tensor]:
    g = in_order_of(grad, result_like(grad))
    total = _sweep(1, g, sum_wanted=True, x=g, g=g)
    norm = total.sqrt()
    return (total if center == 0 else (norm - center).square()), norm


def grad_norm_penalty_backward(
    dpenalty: Tensor, grad: Tensor, norm: Tensor, center: float
) -> Tensor:
    dgrad = result_like(grad)
    g = in_order_of(grad, dgrad)
    _sweep(1, dgrad, g=g, dpenalty=dpenalty, norm=norm, center=center, out_x=dgrad)
    return dgrad


def grad_norm_penalty_double_backward(
    ddgrad: Tensor, dpenalty: Tensor, grad: Tensor, norm: Tensor, center: float,
    need_ddpenalty: bool, need_dgrad: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    dgrad = result_like(grad)
    x, g = _in_order(dgrad, ddgrad, grad)
    total = _sweep(1, dgrad, sum_wanted=True, x=x, g=g)
    ddpenalty = 2 * shrinkage(norm, center)[0] * total if need_ddpenalty else norm.new_empty(0)
    if not need_dgrad:
        return ddpenalty, grad.new_empty(0)
    _sweep(0, dgrad, x=x, y=g, dpenalty=dpenalty, norm=norm, total=total, center=center, out=dgrad)
    return ddpenalty, dgrad
