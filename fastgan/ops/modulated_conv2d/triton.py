# mypy: disable-error-code="no-untyped-def, name-defined"
"""modulated_conv2d in one Triton kernel: an implicit GEMM with the styles and the epilogue inside.

Rows are the pixels of one image, columns the output channels. The sum runs over taps and, within a
tap, over input channels; the image is never unfolded. A tile stays within one image, so that a
style is one row of factors.

The style multiplies the tile of x, not that of the weights. Hopper's tensor cores take the left
operand from registers, where it was multiplied. They take the right one from shared memory alone,
to which it would have to return. The weights are ``[O][kh][kw][C]`` in memory (channels_last; other
layouts are copied), so that both operands are contiguous along the sum, as tf32 demands.

Pixels whose channels are contiguous (channels_last) load as vectors. In contiguous memory, the
shift by a tap leaves a row of pixels unaligned. Each is loaded by itself: correct, but slow.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable

import torch
import triton
import triton.language as tl
from torch import Tensor

from fastgan.ops._layout import memory_format
from fastgan.ops._triton import on_device
from fastgan.ops._triton_activations import PIECEWISE, act_value, rounded_clamp
from fastgan.ops.modulated_conv2d.autotune_table import Config, Key, key_of, lookup, power_of_two


@triton.jit
def modulated_conv2d_kernel(
    x_ptr, w_ptr, s_ptr, d_ptr, noise_ptr, b_ptr, y_ptr,
    channels, outs, height, width, x_pixel, x_channel, y_pixel, y_channel,
    noise_image, tiles_p, tiles_o,
    # Without these types, floats arrive as float32.
    alpha: tl.float64, gain: tl.float64, clamp: tl.float64,
    KERNEL: tl.constexpr, ACT: tl.constexpr, PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Convolve one tile; ``x_pixel``, ``x_channel``, ... are strides.

    ``noise_image`` is 0 if all images share the noise. Weights are ``[O, KERNEL², C]``. No clamp is
    NaN: every comparison with it is false.
    """
    # Neighbouring tiles share pixels.
    tile = tl.program_id(0)
    out = (tile % tiles_o) * BLOCK_N + tl.arange(0, BLOCK_N)
    pixel = (tile // tiles_o % tiles_p) * BLOCK_M + tl.arange(0, BLOCK_M)
    image = (tile // tiles_o // tiles_p).to(tl.int64)
    pixels = tl.cast(height, tl.int64) * width
    column = pixel % width
    row = pixel // width
    x_ptrs = x_ptr + image * pixels * channels + pixel.to(tl.int64) * x_pixel
    w_ptrs = w_ptr + out.to(tl.int64) * channels * (KERNEL * KERNEL)
    s_ptr += image * channels

    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    steps = tl.cdiv(channels, BLOCK_K)
    for step in range(steps * (KERNEL * KERNEL)):
        tap = step // steps
        down = tap // KERNEL - KERNEL // 2
        right = tap % KERNEL - KERNEL // 2
        y = row + down
        x = column + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        channel = step % steps * BLOCK_K + tl.arange(0, BLOCK_K)
        there = channel < channels
        shift = (tl.cast(down, tl.int64) * width + right) * x_pixel
        pixel_values = tl.load(
            x_ptrs[:, None] + (shift + channel.to(tl.int64) * x_channel)[None, :],
            inside[:, None] & there[None, :],
            0.0,
        )
        style = tl.load(s_ptr + channel, there, 0.0).to(pixel_values.dtype)
        weights = tl.load(
            w_ptrs[None, :] + (tap * channels + channel)[:, None],
            there[:, None] & (out < outs)[None, :],
            0.0,
        )
        total = tl.dot(pixel_values * style[None, :], weights, total, input_precision=PRECISION)

    there = out < outs
    if d_ptr is not None:
        total *= tl.load(d_ptr + image * outs + out, there, 0.0).to(tl.float32)[None, :]
    if noise_ptr is not None:
        noise = tl.load(noise_ptr + image * noise_image + pixel, pixel < pixels, 0.0)
        total += noise.to(tl.float32)[:, None]
    if b_ptr is not None:
        total += tl.load(b_ptr + out, there, 0.0).to(tl.float32)[None, :]
    alpha = tl.full((), alpha, tl.float32)
    clamp = tl.full((), clamp, tl.float32)
    result = act_value(total, alpha, ACT) * tl.full((), gain, tl.float32)
    result = tl.where(result > clamp, clamp, tl.where(result < -clamp, -clamp, result))
    y_ptr += image * pixels * outs
    y_ptrs = (
        y_ptr + (pixel.to(tl.int64) * y_pixel)[:, None] + (out.to(tl.int64) * y_channel)[None, :]
    )
    tl.store(y_ptrs, result.to(y_ptr.dtype.element_ty), (pixel < pixels)[:, None] & there[None, :])


# ---------------------------------------------------------------------------------- launches

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def shape_class(x: Tensor, weight: Tensor) -> Key:
    """Return the key for :func:`~fastgan.ops.modulated_conv2d.autotune_table.lookup`."""
    nvidia = x.is_cuda and torch.version.hip is None
    major, minor = torch.cuda.get_device_capability(x.device) if nvidia else (0, 0)
    n, channels, height, width = x.shape
    outs, _, kernel, _ = weight.shape
    return key_of(10 * major + minor, kernel, channels, outs, n * height * width, x.element_size())


def fitted(config: Config, x: Tensor, weight: Tensor) -> Config:
    """Return ``config`` with tiles no larger than an image and its channels.

    Without tf32, they are also no larger than the registers.
    """
    block_m, block_n, block_k, num_warps, num_stages = config
    if _precision(x.dtype) == "ieee":
        block_m, block_n, block_k, num_warps = min(block_m, 64), min(block_n, 64), 16, 4
    pixels, channels, outs = x.shape[2] * x.shape[3], x.shape[1], weight.shape[0]
    block_m, block_n, block_k = (
        min(block, max(16, power_of_two(size)))
        for block, size in ((block_m, pixels), (block_n, outs), (block_k, channels))
    )
    return Config(
        block_m, block_n, block_k, 4 if block_m * block_n < 4096 else num_warps, num_stages
    )


def _precision(dtype: torch.dtype) -> str:
    """Return the precision of products: full float32, unless torch allows tf32 for products.

    It has no effect on half types.
    """
    # fp32_precision holds however it was set; allow_tf32 raises if another name set it.
    allowed = torch.backends.cuda.matmul.fp32_precision == "tf32"
    return "ieee" if dtype == torch.float32 and not allowed else "tf32"


def _check(x: Tensor, weight: Tensor) -> None:
    if x.dtype not in DTYPES:
        raise TypeError(
            f"x must be float16, bfloat16 or float32 for modulated_conv2d_fused, got {x.dtype}"
        )
    size = tuple(weight.shape[2:])
    if size not in ((1, 1), (3, 3)):
        raise ValueError(
            "weight must have a kernel of 1×1 or 3×3 for modulated_conv2d_fused, "
            f"got shape {list(weight.shape)}"
        )
    if weight.shape[1] != x.shape[1]:
        raise ValueError(
            f"weight must have {x.shape[1]} input channels as x has, got {list(weight.shape)}"
        )


def modulated_conv2d_fused(
    x: Tensor, weight: Tensor, styles: Tensor, dcoefs: Tensor | None, noise: Tensor | None,
    b: Tensor | None, act: str, alpha: float, gain: float, clamp: float | None,
    config: Config | None = None,
) -> Tensor:  # fmt: skip
    """Return ``clamp(gain·act(dcoefs · conv(styles · x, weight) + noise + b))``, without gradient.

    The stride is 1, and the result has the size of ``x``. The product of style and pixel is
    rounded to the dtype of ``x``; sums are float32.

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16 or float32; fast in channels_last. The result has its
            layout.
        weight: ``[O, C, k, k]`` with k 1 or 3, of the dtype of ``x``, which is correlated with it.
            Layouts other than channels_last are copied.
        styles: ``[N, C]``.
        dcoefs: ``[N, O]`` or None.
        noise: ``[N, 1, H, W]``, ``[1, 1, H, W]`` or None.
        b: ``[O]`` or None.
        config: tile sizes; None looks them up in the table. Nothing is tuned implicitly.

    Raises:
        TypeError: ``x`` has a dtype that tensor cores don't take, such as float64.
        ValueError: the kernel has another size, or there are too many tiles for one launch.
    """
    _check(x, weight)
    config = fitted(lookup(shape_class(x, weight)), x, weight) if config is None else config
    n, channels, height, width = x.shape
    outs, pixels = weight.shape[0], height * width
    memory = memory_format(x)
    last = memory == torch.channels_last
    y = torch.empty((n, outs, height, width), dtype=x.dtype, device=x.device, memory_format=memory)
    if not y.numel():
        return y
    x = x.contiguous(memory_format=memory)
    weight = weight.contiguous(memory_format=torch.channels_last)
    styles = styles.contiguous()
    dcoefs, noise, b = (None if t is None else t.contiguous() for t in (dcoefs, noise, b))
    tiles_p, tiles_o = triton.cdiv(pixels, config.block_m), triton.cdiv(outs, config.block_n)
    if max(n * tiles_p * tiles_o, pixels + config.block_m) > 2**31 - 1:
        raise ValueError(
            f"modulated_conv2d_fused: x of shape {list(x.shape)} is too large for one launch; "
            "split it"
        )
    with on_device(x):
        modulated_conv2d_kernel[(n * tiles_p * tiles_o,)](
            x, weight, styles, dcoefs, noise, b, y, channels, outs, height, width,
            *((channels, 1) if last else (1, pixels)), *((outs, 1) if last else (1, pixels)),
            0 if noise is None or noise.shape[0] == 1 else pixels, tiles_p, tiles_o,
            PIECEWISE.get(act, alpha), gain, rounded_clamp(clamp, x.dtype), KERNEL=weight.shape[2],
            ACT="lrelu" if act in PIECEWISE else act, PRECISION=_precision(x.dtype),
            BLOCK_M=config.block_m, BLOCK_N=config.block_n, BLOCK_K=config.block_k,
            num_warps=config.num_warps, num_stages=config.num_stages,
        )  # fmt: skip
    return y


# ------------------------------------------------------------------------------------ tuning

CANDIDATES = [
    Config(block_m, block_n, block_k, num_warps, num_stages)
    for block_m in (32, 64, 128)
    for block_n in (32, 64, 128, 256)
    for block_k in (32, 64, 128)
    for num_warps in (4, 8)
    for num_stages in (3, 4)
]


def tune(
    x: Tensor, weight: Tensor, styles: Tensor, dcoefs: Tensor | None, noise: Tensor | None,
    b: Tensor | None, act: str, alpha: float, gain: float, clamp: float | None,
    candidates: Iterable[Config] = CANDIDATES,
) -> dict[Key, Config]:  # fmt: skip
    """Measure tile sizes on the GPU of ``x`` and return the fastest as an entry of the table.

    It prints their times, and takes minutes, most of them to compile. The library never calls it.

    Args:
        candidates: configurations to measure. Those that need more registers or shared memory than
            the GPU has are left out.

    Raises:
        RuntimeError: the GPU can run none of them.
    """
    given = (x, weight, styles, dcoefs, noise, b, act, alpha, gain, clamp)
    times: dict[Config, float] = {}
    for config in dict.fromkeys(fitted(candidate, x, weight) for candidate in candidates):
        with contextlib.suppress(triton.runtime.errors.OutOfResources):
            # Replays of a graph, since launching takes longer than a small convolution.
            times[config] = triton.testing.do_bench_cudagraph(
                functools.partial(modulated_conv2d_fused, *given, config), return_mode="median"
            )
    if not times:
        raise RuntimeError(
            "candidates must have one that fits this GPU, got none; "
            "add smaller tiles or fewer stages"
        )
    key = shape_class(x, weight)
    for config in sorted(times, key=times.__getitem__, reverse=True):
        print(f"{times[config]:9.4f} ms  {config}")
    print(f"{key}: {config},")
    return {key: config}
