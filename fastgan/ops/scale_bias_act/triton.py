# mypy: disable-error-code="no-untyped-def, name-defined"
"""scale_bias_act in Triton: one kernel for the op and its two derivatives.

A program has a tile of channels times pixels of one image, whichever of the two is contiguous. It
sums over its pixels for scale and bias, and over its channels for noise, into places of its own.
Torch adds those up in a fixed order, so no atomics are needed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import image_like, memory_format
from fastgan.ops._triton import ACCUMULATE, SUMS, on_device, power_of_two
from fastgan.ops._triton_activations import (
    PIECEWISE,
    act_curvature,
    act_slope,
    act_value,
    rounded_clamp,
)


@triton.jit
def _direction(
    x_ptr, scale_ptr, noise_ptr, b_ptr, at, inside, channel, there, pixel, within, image, noise_at,
    channels, ACC: tl.constexpr,
):  # fmt: skip
    """Return ``scale·x + noise + b`` of a tile, and x; terms that are None are left out."""
    x = tl.load(x_ptr + at, inside, 0.0).to(ACC)
    v = x
    if scale_ptr is not None:
        v = v * tl.load(scale_ptr + image * channels + channel, there, 0.0).to(ACC)[:, None]
    if noise_ptr is not None:
        v = v + tl.load(noise_ptr + noise_at + pixel, within, 0.0).to(ACC)[None, :]
    if b_ptr is not None:
        v = v + tl.load(b_ptr + channel, there, 0.0).to(ACC)[:, None]
    return v, x


@triton.jit
def scale_bias_act_kernel(
    x_ptr, scale_ptr, noise_ptr, b_ptr, dy_ptr, ddx_ptr, ddscale_ptr, ddnoise_ptr, ddb_ptr,
    out_ptr, dx_ptr, for_scale_ptr, for_noise_ptr, for_b_ptr,
    channels, pixels, channel_step, pixel_step, noise_step, tiles_c, tiles_p,
    # Without these types, floats arrive as float32.
    alpha: tl.float64, gain: tl.float64, clamp: tl.float64,
    PASS: tl.constexpr, ACT: tl.constexpr, ACC: tl.constexpr,
    BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr,
):  # fmt: skip
    """Run a pass: ``PASS`` is 0 for forward, 1 for the first derivative, 2 for the second.

    ``out`` is y or ddy. Other results are left out if their pointer is None. No clamp is NaN: every
    comparison with it is false.
    """
    tile = tl.program_id(0)
    tile_p = tile % tiles_p
    tile_c = tile // tiles_p % tiles_c
    image = (tile // tiles_p // tiles_c).to(tl.int64)
    channel = tile_c * BLOCK_C + tl.arange(0, BLOCK_C)
    pixel = tile_p * BLOCK_P + tl.arange(0, BLOCK_P)
    there = channel < channels
    within = pixel < pixels
    inside = there[:, None] & within[None, :]
    at = channel.to(tl.int64)[:, None] * channel_step + pixel.to(tl.int64)[None, :] * pixel_step
    at += image * tl.cast(channels, tl.int64) * pixels
    noise_at = image * noise_step
    alpha = tl.full((), alpha, ACC)
    gain = tl.full((), gain, ACC)
    clamp = tl.full((), clamp, ACC)

    v = tl.zeros((BLOCK_C, BLOCK_P), ACC)
    if x_ptr is not None:
        v, x = _direction(
            x_ptr, scale_ptr, noise_ptr, b_ptr, at, inside, channel, there, pixel, within, image,
            noise_at, channels, ACC
        )  # fmt: skip
    y = act_value(v, alpha, ACT) * gain
    if PASS == 0:
        y = tl.where(y > clamp, clamp, tl.where(y < -clamp, -clamp, y))
        tl.store(out_ptr + at, y.to(out_ptr.dtype.element_ty), inside)
    else:
        # The clamp was active if the result, rounded as in the forward pass, reaches it.
        active = tl.abs(y.to(dy_ptr.dtype.element_ty).to(ACC)) >= clamp
        dy = tl.load(dy_ptr + at, inside, 0.0).to(ACC)
        slope = tl.where(active, 0.0, act_slope(v, alpha, ACT) * gain)
        # It is zero outside the image, as dy is.
        g = dy * slope
        if PASS == 1:
            if dx_ptr is not None:
                dx = g
                if scale_ptr is not None:
                    dx = (
                        dx
                        * tl.load(scale_ptr + image * channels + channel, there, 0.0).to(ACC)[
                            :, None
                        ]
                    )
                tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), inside)
            if for_scale_ptr is not None:
                along = g * x
            bend = g
        else:
            h, ddx = _direction(
                ddx_ptr, scale_ptr, ddnoise_ptr, ddb_ptr, at, inside, channel, there, pixel, within,
                image, noise_at, channels, ACC,
            )  # fmt: skip
            if ddscale_ptr is not None:
                ddscale = tl.load(ddscale_ptr + image * channels + channel, there, 0.0).to(ACC)[
                    :, None
                ]
                h = h + ddscale * x
            tl.store(out_ptr + at, (slope * h).to(out_ptr.dtype.element_ty), inside)
            bend = v * 0.0
            if ACT != "lrelu":
                bend = tl.where(active, 0.0, dy * h * act_curvature(v, ACT) * gain)
            if dx_ptr is not None:
                dx = bend
                if scale_ptr is not None:
                    dx = (
                        dx
                        * tl.load(scale_ptr + image * channels + channel, there, 0.0).to(ACC)[
                            :, None
                        ]
                    )
                if ddscale_ptr is not None:
                    dx = dx + g * ddscale
                tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), inside)
            if for_scale_ptr is not None:
                along = g * ddx
                if x_ptr is not None:
                    along = along + bend * x
        sums_at = (image * tiles_p + tile_p) * channels + channel
        if for_scale_ptr is not None:
            tl.store(for_scale_ptr + sums_at, tl.sum(along, 1), there)
        if for_b_ptr is not None:
            tl.store(for_b_ptr + sums_at, tl.sum(bend, 1), there)
        if for_noise_ptr is not None:
            tl.store(
                for_noise_ptr + (image * tiles_c + tile_c) * pixels + pixel, tl.sum(bend, 0), within
            )


def blocks(channels: int, pixels: int, last: bool, dtype: torch.dtype) -> tuple[int, int]:
    """Return the channels and pixels of a tile: 64 of each, so that its sums are few.

    If there are fewer of one, the tile has more of the other.
    """
    tile = 2048 if dtype == torch.float64 else 4096
    contiguous, other = (channels, pixels) if last else (pixels, channels)
    along = min(power_of_two(contiguous), tile // min(power_of_two(other), 64))
    across = min(power_of_two(other), tile // along)
    return (along, across) if last else (across, along)


def warps(elements: int, order: int, dtype: torch.dtype) -> int:
    """Return the number of warps of a tile, for 16 elements per thread.

    A thread has 8 elements in the second derivative, which holds twice as many values, and 4 of
    float64.
    """
    threads = elements // (4 if dtype == torch.float64 else 8 if order == 2 else 16)
    return max(1, threads // 32)


def _launch(
    order: int, like: Tensor, noise_batch: int, act: str, alpha: float, gain: float,
    clamp: float | None, *, x: Tensor | None, scale: Tensor | None, noise: Tensor | None,
    b: Tensor | None, dy: Tensor | None = None, ddx: Tensor | None = None,
    ddscale: Tensor | None = None, ddnoise: Tensor | None = None, ddb: Tensor | None = None,
    out: Tensor | None = None, dx: Tensor | None = None,
    need: tuple[bool, bool, bool] = (False, False, False),
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Run a pass in the layout of ``like``, which the results ``out`` and ``dx`` have.

    Returns:
        The sums for scale, noise and bias, empty unless needed.
    """
    n, channels, height, width = like.shape
    pixels = height * width
    memory = memory_format(like)
    last = memory == torch.channels_last
    if not like.numel():
        results = (n, channels), (noise_batch, 1, height, width), (channels,)
        dscale, dnoise, db = (
            like.new_zeros(shape if wanted else 0) for shape, wanted in zip(results, need)
        )
        return dscale, dnoise, db
    block_c, block_p = blocks(channels, pixels, last, like.dtype)
    tiles_c, tiles_p = triton.cdiv(channels, block_c), triton.cdiv(pixels, block_p)
    if max(n * tiles_c * tiles_p, pixels + block_p, channels + block_c) > 2**31 - 1:
        raise ValueError(
            f"scale_bias_act: a tensor of shape {list(like.shape)} is too large for one launch; "
            "split it"
        )
    partial = (n, tiles_p, channels), (n, tiles_c, pixels), (n, tiles_p, channels)
    for_scale, for_noise, for_b = (
        torch.empty(shape, dtype=SUMS[like.dtype], device=like.device) if wanted else None
        for shape, wanted in zip(partial, need)
    )
    x, dy, ddx = (None if t is None else t.contiguous(memory_format=memory) for t in (x, dy, ddx))
    scale, noise, b, ddscale, ddnoise, ddb = (
        None if t is None else t.contiguous() for t in (scale, noise, b, ddscale, ddnoise, ddb)
    )
    with on_device(like):
        scale_bias_act_kernel[(n * tiles_c * tiles_p,)](
            x, scale, noise, b, dy, ddx, ddscale, ddnoise, ddb, out, dx, for_scale, for_noise,
            for_b, channels, pixels, *((1, channels) if last else (pixels, 1)),
            0 if noise_batch == 1 else pixels, tiles_c, tiles_p, PIECEWISE.get(act, alpha), gain,
            rounded_clamp(clamp, like.dtype), PASS=order, ACT="lrelu" if act in PIECEWISE else act,
            ACC=ACCUMULATE[like.dtype], BLOCK_C=block_c, BLOCK_P=block_p,
            num_warps=warps(block_c * block_p, order, like.dtype),
        )  # fmt: skip
    dscale, dnoise, db = (like.new_empty(0) for _ in need)
    if for_scale is not None:
        dscale = for_scale.sum(1).to(like.dtype)
    if for_noise is not None:
        dnoise = for_noise.sum(1 if noise_batch == n else (0, 1)).to(like.dtype)
        dnoise = dnoise.view(noise_batch, 1, height, width)
    if for_b is not None:
        db = for_b.sum((0, 1)).to(like.dtype)
    return dscale, dnoise, db


def _batch(*noises: Tensor | None) -> int:
    return next((noise.shape[0] for noise in noises if noise is not None), 1)


def scale_bias_act(
    x: Tensor, scale: Tensor | None, noise: Tensor | None, b: Tensor | None, act: str, alpha: float,
    gain: float, clamp: float | None,
) -> Tensor:  # fmt: skip
    y = image_like(x)
    _launch(0, x, _batch(noise), act, alpha, gain, clamp, x=x, scale=scale, noise=noise, b=b, out=y)
    return y


def scale_bias_act_backward(
    dy: Tensor, x: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None,
    act: str, alpha: float, gain: float, clamp: float | None, need_dscale: bool, need_dnoise: bool,
    need_db: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    dx = image_like(dy)
    sums = _launch(
        1, dy, _batch(noise), act, alpha, gain, clamp,
        x=x, scale=scale, noise=noise, b=b, dy=dy, dx=dx, need=(need_dscale, need_dnoise, need_db),
    )  # fmt: skip
    return dx, *sums


def scale_bias_act_double_backward(
    ddx: Tensor, ddscale: Tensor | None, ddnoise: Tensor | None, ddb: Tensor | None, dy: Tensor,
    x: Tensor | None, scale: Tensor | None, noise: Tensor | None, b: Tensor | None, act: str,
    alpha: float, gain: float, clamp: float | None, need_dx: bool, need_dscale: bool,
    need_dnoise: bool, need_db: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    ddy = image_like(ddx)
    dx = image_like(ddx) if need_dx else None
    sums = _launch(
        2, ddx, _batch(noise, ddnoise), act, alpha, gain, clamp, x=x, scale=scale, noise=noise, b=b,
        dy=dy, ddx=ddx, ddscale=ddscale, ddnoise=ddnoise, ddb=ddb, out=ddy, dx=dx,
        need=(need_dscale, need_dnoise, need_db),
    )  # fmt: skip
    return ddy, (ddx.new_empty(0) if dx is None else dx), *sums
