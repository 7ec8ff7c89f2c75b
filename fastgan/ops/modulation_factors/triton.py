# mypy: disable-error-code="no-untyped-def, name-defined"
"""modulation_factors in Triton: two kernels per pass, one over weights and one over styles.

A program of the weights has an output channel. It reads its weights for their norm, and again, from
the cache, for the sums over the taps and the rounded weights. A program of the styles has an image
and some output channels, or some styles.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import memory_format
from fastgan.ops._triton import ACCUMULATE, on_device, power_of_two
from fastgan.ops.modulation_factors.reference import EPSILON, LEAST, copies_weight


@triton.jit
def weights_kernel(
    w_ptr, scaled_ptr, squares_ptr, norm_ptr, channels, taps, channel_step, tap_step,
    # Without this type, floats arrive as float32.
    least: tl.float64,
    FLIP: tl.constexpr, ACC: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_T: tl.constexpr,
):  # fmt: skip
    """Write the norm, the sums of squares and the scaled weights of an output channel.

    The steps are strides of the scaled weights. Pointers of absent results are None.
    """
    out = tl.program_id(0).to(tl.int64)
    row = channels * taps
    w_ptr += out * row
    norm = tl.full((), 1.0, ACC)
    if norm_ptr is not None:
        total = tl.zeros((BLOCK_C * BLOCK_T,), ACC)
        for start in range(0, row, BLOCK_C * BLOCK_T):
            at = start + tl.arange(0, BLOCK_C * BLOCK_T)
            v = tl.load(w_ptr + at, at < row, 0.0)
            total += v * v
        norm = tl.sqrt(tl.sum(total, 0))
        least = tl.full((), least, ACC)
        norm = tl.where(norm < least, least, norm)
        tl.store(norm_ptr + out, norm)
    for start in range(0, channels, BLOCK_C):
        channel = start + tl.arange(0, BLOCK_C)
        there = channel < channels
        squares = tl.zeros((BLOCK_C,), ACC)
        for first in range(0, taps, BLOCK_T):
            tap = first + tl.arange(0, BLOCK_T)
            inside = there[:, None] & (tap < taps)[None, :]
            w = tl.load(w_ptr + channel[:, None] * taps + tap[None, :], inside, 0.0) / norm
            squares += tl.sum(w * w, 1)
            if scaled_ptr is not None:
                k = taps - 1 - tap if FLIP else tap
                to = out * row + channel[:, None] * channel_step + k[None, :] * tap_step
                tl.store(scaled_ptr + to, w.to(scaled_ptr.dtype.element_ty), inside)
        if squares_ptr is not None:
            tl.store(squares_ptr + out * channels + channel, squares, there)


@triton.jit
def styles_kernel(
    s_ptr, gain_ptr, squares_ptr, norm_ptr, scaled_ptr, scale_ptr, largest_ptr, root_ptr,
    channels, outs, gain_row, gain_step, tiles,
    least: tl.float64, most: tl.float64, bound: tl.float64, epsilon: tl.float64,
    ACC: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write the scales of some output channels for one image, and once the image's styles."""
    image = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    out = tile * BLOCK_O + tl.arange(0, BLOCK_O)
    within = out < outs
    s_ptr += image * channels
    divisor = tl.full((), 1.0, ACC)
    if largest_ptr is not None:
        found = tl.zeros((BLOCK_C,), ACC)
        for start in range(0, channels, BLOCK_C):
            channel = start + tl.arange(0, BLOCK_C)
            v = tl.abs(tl.load(s_ptr + channel, channel < channels, 0.0))
            found = tl.where(v > found, v, found)
        divisor = tl.max(found, 0)
        least = tl.full((), least, ACC)
        most = tl.full((), most, ACC)
        divisor = tl.where(divisor < least, least, tl.where(divisor > most, most, divisor))
    if tile == 0:
        if largest_ptr is not None:
            tl.store(largest_ptr + image, divisor)
        for start in range(0, channels, BLOCK_C):
            channel = start + tl.arange(0, BLOCK_C)
            there = channel < channels
            t = tl.load(s_ptr + channel, there, 0.0) / divisor
            if gain_ptr is not None:
                at = image * gain_row + channel.to(tl.int64) * gain_step
                t *= tl.load(gain_ptr + at, there, 0.0)
            to = scaled_ptr + image * channels + channel
            tl.store(to, t.to(scaled_ptr.dtype.element_ty), there)
    if scale_ptr is not None:
        scale = tl.zeros((BLOCK_O,), ACC) + divisor
        if root_ptr is not None:
            sums = tl.zeros((BLOCK_O, BLOCK_C), ACC)
            for start in range(0, channels, BLOCK_C):
                channel = start + tl.arange(0, BLOCK_C)
                there = channel < channels
                t = tl.load(s_ptr + channel, there, 0.0) / divisor
                at = out.to(tl.int64)[:, None] * channels + channel[None, :]
                q = tl.load(squares_ptr + at, within[:, None] & there[None, :], 0.0)
                sums += (t * t)[None, :] * q
            total = tl.sum(sums, 1)
            floor = tl.full((), epsilon, ACC)
            if norm_ptr is not None:
                product = divisor * tl.load(norm_ptr + out, within, 1.0)
                bound = tl.full((), bound, ACC)
                product = tl.where(product > bound, bound, product)
                total += floor / (product * product)
            else:
                total += floor
            scale = 1.0 / tl.sqrt(total)
            tl.store(root_ptr + image * outs + out, scale, within)
        tl.store(scale_ptr + image * outs + out, scale.to(scale_ptr.dtype.element_ty), within)


@triton.jit
def weights_backward_kernel(
    dscaled_ptr, dscale_ptr, w_ptr, s_ptr, norm_ptr, largest_ptr, root_ptr, dw_ptr,
    batch, outs, channels, taps, channel_step, tap_step, tiles,
    FLIP: tl.constexpr, ACC: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_T: tl.constexpr,
):  # fmt: skip
    """Write the gradient of some input channels' weights of an output channel."""
    out = (tl.program_id(0) // tiles).to(tl.int64)
    channel = tl.program_id(0) % tiles * BLOCK_C + tl.arange(0, BLOCK_C)
    there = channel < channels
    slopes = tl.zeros((BLOCK_C,), ACC)
    if dscale_ptr is not None:
        for n in range(batch):
            at = tl.cast(n, tl.int64) * outs + out
            root = tl.load(root_ptr + at)
            slope = -(root * root * root) * tl.load(dscale_ptr + at).to(ACC)
            t = tl.load(s_ptr + tl.cast(n, tl.int64) * channels + channel, there, 0.0)
            if largest_ptr is not None:
                t = t / tl.load(largest_ptr + n)
            slopes += slope * (t * t)
    norm = tl.full((), 1.0, ACC)
    if norm_ptr is not None:
        norm = tl.load(norm_ptr + out)
    row = out * channels * taps
    for first in range(0, taps, BLOCK_T):
        tap = first + tl.arange(0, BLOCK_T)
        inside = there[:, None] & (tap < taps)[None, :]
        at = row + channel[:, None] * taps + tap[None, :]
        dw = tl.load(w_ptr + at, inside, 0.0) / norm * slopes[:, None]
        if dscaled_ptr is not None:
            k = taps - 1 - tap if FLIP else tap
            of = row + channel[:, None] * channel_step + k[None, :] * tap_step
            dw += tl.load(dscaled_ptr + of, inside, 0.0).to(ACC)
        tl.store(dw_ptr + at, dw / norm, inside)


@triton.jit
def styles_backward_kernel(
    dscaled_ptr, dscale_ptr, s_ptr, gain_ptr, squares_ptr, largest_ptr, root_ptr, ds_ptr, dgain_ptr,
    channels, outs, gain_row, gain_step, tiles,
    ACC: tl.constexpr, BLOCK_O: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write the gradients of some of an image's styles and of their gain."""
    image = (tl.program_id(0) // tiles).to(tl.int64)
    channel = tl.program_id(0) % tiles * BLOCK_C + tl.arange(0, BLOCK_C)
    there = channel < channels
    at = image * channels + channel
    divisor = tl.full((), 1.0, ACC)
    if largest_ptr is not None:
        divisor = tl.load(largest_ptr + image)
    t = tl.load(s_ptr + at, there, 0.0) / divisor
    given = tl.zeros((BLOCK_C,), ACC)
    if dscaled_ptr is not None:
        given = tl.load(dscaled_ptr + at, there, 0.0).to(ACC)
    if ds_ptr is not None:
        sums = tl.zeros((BLOCK_O, BLOCK_C), ACC)
        if dscale_ptr is not None:
            for start in range(0, outs, BLOCK_O):
                out = start + tl.arange(0, BLOCK_O)
                within = out < outs
                root = tl.load(root_ptr + image * outs + out, within, 0.0)
                slope = tl.load(dscale_ptr + image * outs + out, within, 0.0).to(ACC)
                slope = -(root * root * root) * slope
                of = out.to(tl.int64)[:, None] * channels + channel[None, :]
                q = tl.load(squares_ptr + of, within[:, None] & there[None, :], 0.0)
                sums += slope[:, None] * q
        ds = given
        if gain_ptr is not None:
            of = image * gain_row + channel.to(tl.int64) * gain_step
            ds = given * tl.load(gain_ptr + of, there, 0.0)
        tl.store(ds_ptr + at, (ds + t * tl.sum(sums, 0)) / divisor, there)
    if dgain_ptr is not None:
        tl.store(dgain_ptr + at, given * t, there)


# ---------------------------------------------------------------------------------- launches

# Elements of a program's tile: 16 for each thread of 4 warps. The gradient of weights holds more
# tiles at once and takes 8 warps.
TILE = 2048


def _check(weight: Tensor, styles: Tensor) -> None:
    o, c, kh, kw = weight.shape
    # Programs and places within a row have 32 bits.
    if max(c * kh * kw, o * c, styles.numel(), styles.shape[0] * o) > 2**30:
        raise ValueError(
            f"modulation_factors: weights of shape {list(weight.shape)} are too large for one "
            "launch; split them"
        )


def _blocks(channels: int, taps: int) -> tuple[int, int]:
    """Return the channels and taps of a tile of weights."""
    block_t = min(power_of_two(taps), 64)
    return min(power_of_two(channels), TILE // block_t), block_t


def _gain(gain: Tensor | None) -> tuple[Tensor | None, int, int]:
    return (None, 0, 0) if gain is None else (gain, gain.stride(0), gain.stride(1))


def _given(t: Tensor) -> Tensor | None:
    return t if t.numel() else None


def modulation_factors(
    weight: Tensor, styles: Tensor, gain: Tensor | None, dtype: torch.dtype, demodulate: bool,
    normalize: bool, channels_last: bool, flip: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    _check(weight, styles)
    weight, styles = weight.contiguous(), styles.contiguous()
    (o, c, kh, kw), n = weight.shape, styles.shape[0]
    taps = kh * kw
    scaled = weight.new_empty(0, dtype=dtype)
    if copies_weight(weight, dtype, normalize, channels_last, flip):
        scaled = weight.new_empty((o, kh, kw, c) if channels_last else weight.shape, dtype=dtype)
        scaled = scaled.permute(0, 3, 1, 2) if channels_last else scaled
    t = weight.new_empty(n, c, dtype=dtype)
    scale = weight.new_empty((n, o) if demodulate or normalize else (0,), dtype=dtype)
    squares = weight.new_empty((o, c) if demodulate else (0,))
    norm = weight.new_empty(o if demodulate and normalize else 0)
    largest = weight.new_empty(n if normalize else 0)
    root = weight.new_empty((n, o) if demodulate else (0,))
    acc = ACCUMULATE[dtype]
    most = torch.finfo(dtype).max
    with on_device(weight):
        if o and c and (scaled.numel() or squares.numel()):
            block_c, block_t = _blocks(c, taps)
            weights_kernel[(o,)](
                weight, _given(scaled), _given(squares), _given(norm), c, taps,
                *((1, c) if channels_last else (taps, 1)), LEAST, FLIP=flip, ACC=acc,
                BLOCK_C=block_c, BLOCK_T=block_t,
            )  # fmt: skip
        if n and c:
            block_c = min(power_of_two(c), 128)
            block_o = min(power_of_two(o), TILE // block_c)
            tiles = max(1, triton.cdiv(o, block_o)) if scale.numel() else 1
            styles_kernel[(n * tiles,)](
                styles, *_gain(gain)[:1], _given(squares), _given(norm), t, _given(scale),
                _given(largest), _given(root), c, o, *_gain(gain)[1:], tiles, LEAST,
                math.inf if demodulate else most, min(EPSILON**0.5 * most, 1e15), EPSILON,
                ACC=acc, BLOCK_O=block_o, BLOCK_C=block_c,
            )  # fmt: skip
    return scaled, t, scale, squares, norm, largest, root


def modulation_factors_backward(
    dweight: Tensor | None, dstyles: Tensor | None, dscale: Tensor | None, weight: Tensor,
    styles: Tensor, gain: Tensor | None, squares: Tensor, norm: Tensor, largest: Tensor,
    root: Tensor, dtype: torch.dtype, demodulate: bool, normalize: bool, flip: bool,
    need_dweight: bool, need_dstyles: bool, need_dgain: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    _check(weight, styles)
    weight, styles = weight.contiguous(), styles.contiguous()
    (o, c, kh, kw), n = weight.shape, styles.shape[0]
    taps = kh * kw
    last = dweight is not None and memory_format(dweight) == torch.channels_last
    if dweight is not None:
        dweight = dweight.contiguous(
            memory_format=torch.channels_last if last else torch.contiguous_format
        )
    dstyles = None if dstyles is None else dstyles.contiguous()
    dscale = None if dscale is None or not demodulate else dscale.contiguous()
    dw = weight.new_empty(weight.shape if need_dweight else (0,))
    ds, dgain = (weight.new_empty((n, c) if need else (0,)) for need in (need_dstyles, need_dgain))
    acc = ACCUMULATE[dtype]
    with on_device(weight):
        if dw.numel():
            block_c, block_t = _blocks(c, taps)
            tiles = triton.cdiv(c, block_c)
            weights_backward_kernel[(o * tiles,)](
                dweight, dscale, weight, styles, _given(norm), _given(largest), _given(root), dw,
                n, o, c, taps, *((1, c) if last else (taps, 1)), tiles, FLIP=flip, ACC=acc,
                BLOCK_C=block_c, BLOCK_T=block_t, num_warps=8,
            )  # fmt: skip
        if ds.numel() or dgain.numel():
            block_c = min(power_of_two(c), 64)
            block_o = min(power_of_two(o), TILE // block_c)
            tiles = triton.cdiv(c, block_c)
            styles_backward_kernel[(n * tiles,)](
                dstyles, dscale, styles, *_gain(gain)[:1], _given(squares), _given(largest),
                _given(root), _given(ds), _given(dgain), c, o, *_gain(gain)[1:], tiles, ACC=acc,
                BLOCK_O=block_o, BLOCK_C=block_c,
            )  # fmt: skip
    return dw, ds, dgain
