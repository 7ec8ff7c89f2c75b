# mypy: disable-error-code="no-untyped-def, name-defined"
"""adaptive_norm in Triton: one kernel for every sweep over the images; torch does the rest.

A program has a tile of channels times pixels of one image, whichever of the two is contiguous. Each
tile writes its sums over pixels to a place of its own. Torch adds those up in a fixed order, so no
atomics are needed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._activations import CURVED
from fastgan.ops._layout import image_like, memory_format
from fastgan.ops._triton import ACCUMULATE, SUMS, on_device
from fastgan.ops._triton_activations import (
    PIECEWISE,
    act_curvature,
    act_slope,
    act_value,
    rounded_clamp,
)
from fastgan.ops.adaptive_norm.coefficients import direction, first, norm_of, second
from fastgan.ops.adaptive_norm.reference import Parameters, _only, split
from fastgan.ops.scale_bias_act.triton import blocks, warps


@triton.jit
def _number(ptr, at, there, ACC: tl.constexpr):
    """Load a coefficient for each channel of a tile."""
    return tl.load(ptr + at, there, 0.0).to(ACC)[:, None]


@triton.jit
def adaptive_norm_kernel(
    x_ptr, dy_ptr, ddx_ptr, scale_map_ptr, shift_map_ptr, residual_ptr, out_ptr, dx_ptr, sums_ptr,
    mean_ptr, p_ptr, t_ptr, slope_ptr, shift_ptr, f_u_ptr, f_x_ptr, f_1_ptr,
    channels, pixels, channel_step, pixel_step, tiles_c, tiles_p, sums_step,
    # Without these types, floats arrive as float32.
    alpha: tl.float64, gain: tl.float64, clamp: tl.float64,
    SWEEP: tl.constexpr, MAPS: tl.constexpr, ACT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    """Run a sweep, one of those that csrc/adaptive_norm/problem.h lists.

    Pointers that a sweep doesn't need are None; so is ``dx`` if it isn't wanted. No clamp is NaN:
    every comparison with it is false. With maps, the first sums write the gradients of shift and
    scale to ``out`` and ``dx``, and backward reads that of shift as ``dy``.
    """
    tile = tl.program_id(0)
    tile_p = tile % tiles_p
    tile_c = tile // tiles_p % tiles_c
    image = (tile // tiles_p // tiles_c).to(tl.int64)
    channel = tile_c * BLOCK_C + tl.arange(0, BLOCK_C)
    pixel = tile_p * BLOCK_P + tl.arange(0, BLOCK_P)
    there = channel < channels
    inside = there[:, None] & (pixel < pixels)[None, :]
    at = channel.to(tl.int64)[:, None] * channel_step + pixel.to(tl.int64)[None, :] * pixel_step
    at += image * tl.cast(channels, tl.int64) * pixels
    number = image * channels + channel
    alpha = tl.full((), alpha, ACC)
    gain = tl.full((), gain, ACC)
    clamp = tl.full((), clamp, ACC)

    z = tl.load(x_ptr + at, inside, 0.0).to(ACC) - _number(mean_ptr, number, there, ACC)
    sums_at = (image * tiles_p + tile_p) * channels + channel
    if SWEEP == "moments":
        z = tl.where(inside, z, 0.0)
        tl.store(sums_ptr + sums_at, tl.sum(z, 1), there)
        tl.store(sums_ptr + sums_step + sums_at, tl.sum(z * z, 1), there)
    else:
        p = _number(p_ptr, number, there, ACC)
        unit = p * z
        v = unit
        if scale_map_ptr is not None:
            factor = 1.0 + tl.load(scale_map_ptr + at, inside, 0.0).to(ACC)
            v *= factor
        v += _number(t_ptr, number, there, ACC)
        if shift_map_ptr is not None:
            v += tl.load(shift_map_ptr + at, inside, 0.0).to(ACC)
        y = act_value(v, alpha, ACT) * gain
        if SWEEP == "forward":
            y = tl.where(y > clamp, clamp, tl.where(y < -clamp, -clamp, y))
            if residual_ptr is not None:
                y += tl.load(residual_ptr + at, inside, 0.0).to(ACC)
            tl.store(out_ptr + at, y.to(out_ptr.dtype.element_ty), inside)
        else:
            # The clamp was active if the result, rounded as in the forward pass, reaches it.
            active = tl.abs(y.to(dy_ptr.dtype.element_ty).to(ACC)) >= clamp
            dy = tl.load(dy_ptr + at, inside, 0.0).to(ACC)
            s1 = tl.where(active, 0.0, act_slope(v, alpha, ACT) * gain)
            # It is zero outside the image, as dy and ddx are.
            g = dy * s1
            if SWEEP == "backward":
                if MAPS:
                    g = dy
                if scale_map_ptr is not None:
                    g *= factor
                dx = (
                    p * g
                    + _number(f_x_ptr, number, there, ACC) * z
                    + _number(f_1_ptr, number, there, ACC)
                )
                tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), inside)
            elif SWEEP == "first_sums":
                if MAPS:
                    tl.store(out_ptr + at, g.to(out_ptr.dtype.element_ty), inside)
                    if dx_ptr is not None:
                        tl.store(dx_ptr + at, (g * unit).to(dx_ptr.dtype.element_ty), inside)
                if scale_map_ptr is not None:
                    g *= factor
                tl.store(sums_ptr + sums_at, tl.sum(g, 1), there)
                tl.store(sums_ptr + sums_step + sums_at, tl.sum(g * z, 1), there)
            else:
                u = tl.load(ddx_ptr + at, inside, 0.0).to(ACC)
                if SWEEP == "second_sums":
                    tl.store(sums_ptr + sums_at, tl.sum(g, 1), there)
                    tl.store(sums_ptr + sums_step + sums_at, tl.sum(g * z, 1), there)
                    tl.store(sums_ptr + 2 * sums_step + sums_at, tl.sum(u, 1), there)
                    tl.store(sums_ptr + 3 * sums_step + sums_at, tl.sum(u * z, 1), there)
                    tl.store(sums_ptr + 4 * sums_step + sums_at, tl.sum(g * u, 1), there)
                else:
                    slope = _number(slope_ptr, number, there, ACC)
                    h = p * u + slope * z + _number(shift_ptr, number, there, ACC)
                    q = v * 0.0
                    if ACT != "lrelu":
                        q = tl.where(active, 0.0, dy * h * act_curvature(v, ACT) * gain)
                    if SWEEP == "bend_sums":
                        tl.store(sums_ptr + sums_at, tl.sum(q, 1), there)
                        tl.store(sums_ptr + sums_step + sums_at, tl.sum(q * z, 1), there)
                    else:
                        tl.store(out_ptr + at, (s1 * h).to(out_ptr.dtype.element_ty), inside)
                        if dx_ptr is not None:
                            dx = p * q + slope * g + _number(f_u_ptr, number, there, ACC) * u
                            dx += _number(f_x_ptr, number, there, ACC) * z + _number(
                                f_1_ptr, number, there, ACC
                            )
                            tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), inside)


SUM_COUNTS = {"moments": 2, "first_sums": 2, "second_sums": 5, "bend_sums": 2}


#: Activation, alpha, gain and clamp.
Settings = tuple[str, float, float, "float | None"]


def sweep(
    kind: str, like: Tensor, settings: Settings, numbers: dict[str, Tensor], *, x: Tensor,
    dy: Tensor | None = None, ddx: Tensor | None = None, maps: Parameters = (None, None),
    residual: Tensor | None = None, out: Tensor | None = None, dx: Tensor | None = None,
) -> list[Tensor]:  # fmt: skip
    """Run a sweep in the layout of ``like``.

    Args:
        numbers: coefficients by name.

    Returns:
        Its sums, each ``[N, C]``.
    """
    act, alpha, gain, clamp = settings
    n, channels, height, width = like.shape
    pixels = height * width
    memory = memory_format(like)
    last = memory == torch.channels_last
    count = SUM_COUNTS.get(kind, 0)
    if not like.numel():
        return [like.new_zeros((n, channels), dtype=SUMS[like.dtype]) for _ in range(count)]
    block_c, block_p = blocks(channels, pixels, last, like.dtype)
    tiles_c, tiles_p = triton.cdiv(channels, block_c), triton.cdiv(pixels, block_p)
    if max(n * tiles_c * tiles_p, pixels + block_p, channels + block_c) > 2**31 - 1:
        raise ValueError(
            f"adaptive_norm: a tensor of shape {list(like.shape)} is too large for one launch; "
            "split it"
        )
    sums = torch.empty((count, n, tiles_p, channels), dtype=SUMS[like.dtype], device=like.device)
    images = [
        None if t is None else t.contiguous(memory_format=memory)
        for t in (x, dy, ddx, *maps, residual)
    ]
    names = ("mean", "p", "t", "slope", "shift", "f_u", "f_x", "f_1")
    found = [numbers.get(name) for name in names]
    found = [None if t is None else t.expand(n, channels).contiguous() for t in found]
    order = 2 if ddx is not None else 1
    with on_device(like):
        adaptive_norm_kernel[(n * tiles_c * tiles_p,)](
            *images, out, dx, sums if count else None, *found, channels, pixels,
            *((1, channels) if last else (pixels, 1)), tiles_c, tiles_p, n * tiles_p * channels,
            PIECEWISE.get(act, alpha), gain, rounded_clamp(clamp, like.dtype), SWEEP=kind,
            MAPS=maps != (None, None), ACT="lrelu" if act in PIECEWISE else act,
            ACC=ACCUMULATE[like.dtype], BLOCK_C=block_c, BLOCK_P=block_p,
            num_warps=warps(block_c * block_p, order, like.dtype),
        )  # fmt: skip
    return list(sums.sum(2))


def anchor(x: Tensor, over: str) -> Tensor:
    """Return the mean of a few elements, ``[N, C]`` or ``[1, C]``.

    Sums of squares are taken about it, so that they don't cancel.
    """
    n, _, height, width = x.shape
    step = max(n // 4, 1) if over == "batch" else 1
    some = x[::step, :, :: max(height // 4, 1), :: max(width // 4, 1)].to(SUMS[x.dtype])
    return some.mean((0, 2, 3))[None] if over == "batch" else some.mean((2, 3))


def adaptive_norm(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor | None, var: Tensor | None,
    residual: Tensor | None, over: str, eps: float, act: str, alpha: float, gain: float,
    clamp: float | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    y, wide = image_like(x), SUMS[x.dtype]
    settings = (act, alpha, gain, clamp)
    found = [x.new_empty(0, dtype=wide) for _ in range(2)]
    if not x.numel():
        shape = {"given": (0,), "sample": x.shape[:2], "batch": (1, x.shape[1])}[over]
        return y, x.new_zeros(shape, dtype=wide), x.new_zeros(shape, dtype=wide)
    if mean is None or var is None:
        about = anchor(x, over)
        sums = sweep("moments", y, settings, {"mean": about}, x=x)
        count = x.shape[2] * x.shape[3] * (x.shape[0] if over == "batch" else 1)
        past, squares = (
            s.sum(0, keepdim=True) / count if over == "batch" else s / count for s in sums
        )
        mean, var = found = [about + past, (squares - past.square()).clamp(min=0)]
    numbers, maps = split(scale, shift)
    k = norm_of(x, *numbers, mean, var, over, eps)
    base = {"mean": mean, "p": k.p, "t": k.t}
    sweep("forward", y, settings, base, x=x, maps=maps, residual=residual, out=y)
    return y, *found  # type: ignore[return-value]


def adaptive_norm_backward(
    dy: Tensor, x: Tensor, scale: Tensor | None, shift: Tensor | None, mean: Tensor, var: Tensor,
    over: str, eps: float, act: str, alpha: float, gain: float, clamp: float | None,
    need_dscale: bool, need_dshift: bool, need_dstats: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    dx, settings = image_like(dy), (act, alpha, gain, clamp)
    numbers, maps = split(scale, shift)
    with_maps = maps != (None, None)
    k = norm_of(dy, *numbers, mean, var, over, eps)
    base = {"mean": mean, "p": k.p, "t": k.t}
    g = gx = torch.zeros_like(k.p)
    dshift = image_like(dy) if with_maps else None
    dscale = image_like(dy) if with_maps and need_dscale else None
    if k.own() or need_dscale or need_dshift or need_dstats or with_maps:
        g, gx = sweep(
            "first_sums", dx, settings, base, x=x, dy=dy, maps=maps, out=dshift, dx=dscale
        )
    found = first(k, g, gx)
    base |= {"f_x": found.slope, "f_1": found.shift}
    sweep(
        "backward", dx, settings, base, x=x, dy=dy if dshift is None else dshift, maps=maps, dx=dx
    )
    needs = (need_dscale, need_dshift, need_dstats, need_dstats)
    dnumbers = _only(found[:4], needs, dy.dtype)
    if dshift is not None:
        dnumbers[:2] = [dy.new_empty(0) if dscale is None else dscale, dshift]
    return dx, *dnumbers  # type: ignore[return-value]


def adaptive_norm_double_backward(
    ddx: Tensor, ddscale: Tensor | None, ddshift: Tensor | None, ddmean: Tensor | None,
    ddvar: Tensor | None, dy: Tensor, x: Tensor, scale: Tensor | None, shift: Tensor | None,
    mean: Tensor, var: Tensor, over: str, eps: float, act: str, alpha: float, gain: float,
    clamp: float | None, need_dx: bool, need_dscale: bool, need_dshift: bool, need_dstats: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    ddy, settings = image_like(ddx), (act, alpha, gain, clamp)
    dx = image_like(ddx) if need_dx else None
    k = norm_of(ddx, scale, shift, mean, var, over, eps)
    base = {"mean": mean, "p": k.p, "t": k.t}
    parameters = need_dscale or need_dshift or need_dstats
    g = gx = u = ux = gu = q = qx = torch.zeros_like(k.p)
    if k.own() or parameters:
        g, gx, u, ux, gu = sweep("second_sums", ddy, settings, base, x=x, dy=dy, ddx=ddx)
    along = direction(k, u, ux, ddscale, ddshift, ddmean, ddvar)
    base |= {"slope": along.slope, "shift": along.shift}
    if act in CURVED and (parameters or (k.own() and need_dx)):
        q, qx = sweep("bend_sums", ddy, settings, base, x=x, dy=dy, ddx=ddx)
    found = second(k, along, ddscale, g, gx, gu, q, qx)
    base |= {"f_u": found.f_u, "f_x": found.f_x, "f_1": found.f_1}
    sweep("double_backward", ddy, settings, base, x=x, dy=dy, ddx=ddx, out=ddy, dx=dx)
    needs = (need_dscale, need_dshift, need_dstats, need_dstats)
    dx = ddx.new_empty(0) if dx is None else dx
    return ddy, dx, *_only(found[:4], needs, ddx.dtype)  # type: ignore[return-value]
