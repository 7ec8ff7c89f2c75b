"""conv2d_resample: convolution with resampling. The maths is in this folder's README."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fastgan.ops._activations import Options
from fastgan.ops._library import choose_backend
from fastgan.ops.conv2d.arguments import check_convolution
from fastgan.ops.conv2d.convolve import convolve, convolve_transposed
from fastgan.ops.conv2d_resample.arguments import (
    around_transposed,
    check_size,
    resampling_factor,
)
from fastgan.ops.scale_bias_act import epilogue
from fastgan.ops.upfirdn2d import resampled
from fastgan.ops.upfirdn2d.arguments import (
    Sides,
    centred_down,
    centred_up,
    check_filter,
    filter_taps,
    four_sides,
)
from fastgan.ops.upfirdn2d_act import upfirdn2d_act

__all__ = ["conv2d_resample"]

#: Scale, noise, bias and activation of :func:`fastgan.ops.scale_bias_act`.
Epilogue = tuple[Tensor | None, Tensor | None, Tensor | None, Options]


def conv2d_resample(
    x: Tensor,
    weight: Tensor,
    f: Tensor | None = None,
    *,
    up: int = 1,
    down: int = 1,
    padding: int | Sequence[int] = 0,
    groups: int = 1,
    flip_weight: bool = True,
    flip_filter: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Upsample, convolve with ``weight`` and downsample.

    Up to rounding it is ``upsample2d`` with ``f``, a convolution and ``downsample2d`` with ``f``.
    But it takes fewer products: a transposed convolution upsamples, a strided one downsamples, and
    a 1×1 kernel runs where the image is small. At a factor of 2 it takes a quarter of them. These
    are the layers of Karras et al. 2020, as :class:`fastgan.layers.EqualConv2d`. The op is
    differentiable to any order in ``x`` and ``weight``.

    ::

        x, weight = torch.randn(2, 16, 32, 32), torch.randn(24, 16, 3, 3)
        f = ops.setup_filter([1, 3, 3, 1])
        y = ops.conv2d_resample(x, weight, f, up=2, padding=1)  # [2, 24, 64, 64]
        y = ops.conv2d_resample(x, weight, f, down=2, padding=1)  # [2, 24, 16, 16]

    Args:
        x: ``[N, C, H, W]``, float16, bfloat16, float32 or float64, with at least one channel and
            one pixel.
        weight: ``[O, C/groups, kh, kw]``, of the dtype and device of ``x``.
        f: filter as in :func:`fastgan.ops.upfirdn2d`, used where ``up`` or ``down`` is more than 1.
        up, down: factor of both axes.
        padding: padding of all sides, ``(x, y)``, or ``(x0, x1, y0, y1)`` for left, right, top and
            bottom. Its unit is a pixel of the upsampled image. It adds to the padding that centres
            the filters; negative values crop.
        groups: number of groups of channels, each convolved on its own.
        flip_weight: True correlates with ``weight``, as :func:`fastgan.ops.conv2d` does; False
            convolves.
        flip_filter: correlate with ``f`` instead of convolving.
        backend: of every step, as in :func:`fastgan.ops.bias_act`.

    Under autocast the convolution runs in the dtype that :func:`fastgan.ops.conv2d` takes there,
    and a filter in the dtype of its input.

    Returns:
        ``[N, O, (H·up + y0 + y1 - kh + 1) // down, (W·up + x0 + x1 - kw + 1) // down]``.

    Raises:
        TypeError: ``x``, ``weight`` or ``f`` is no tensor of a supported dtype, or a factor or
            padding is no whole number.
        ValueError: a shape, device or factor is out of range, ``f`` requires a gradient, or the
            result would be empty.
        BackendUnavailable: the backend that was named cannot run here.
    """
    check_convolution(x, weight, groups, transposed=False)
    check_filter(f, x.device)
    up, down = resampling_factor("up", up), resampling_factor("down", down)
    sides = four_sides(padding)
    check_size(x.shape, weight.shape, up, down, sides)
    chosen = choose_backend("conv2d_resample", x.device, backend)
    return resample(
        chosen, x, weight, None, f, up=up, down=down, sides=sides, groups=groups,
        flip_weight=flip_weight, flip_filter=flip_filter,
    )  # fmt: skip


def resample(
    chosen: str, x: Tensor, weight: Tensor, style: Tensor | None, f: Tensor | None, *,
    up: int, down: int, sides: Sides, groups: int, flip_weight: bool, flip_filter: bool,
    after: Epilogue | None = None,
) -> Tensor:  # fmt: skip
    """Run :func:`conv2d_resample` with checked arguments on backend ``chosen``.

    ``style[N, C]`` scales the channels of ``x``. With ``after``, scale_bias_act follows, in one
    pass with the filter of ``up`` where that is the last step.
    """
    if after is not None and (up == 1 or down > 1):
        z = resample(
            chosen, x, weight, style, f, up=up, down=down, sides=sides, groups=groups,
            flip_weight=flip_weight, flip_filter=flip_filter,
        )  # fmt: skip
        return epilogue(chosen, z, *after)
    if up > 1:
        sides = centred_up(filter_taps(f), (up, up), sides)
    if down > 1:
        sides = centred_down(filter_taps(f), (down, down), sides)
    pointwise = weight.shape[2] == weight.shape[3] == 1
    # A transposed convolution reverses its weight.
    if bool(flip_weight) == (up > 1) and not pointwise:
        weight = weight.flip(2, 3)

    if up > 1:
        if pointwise:
            step, y = up, convolve(chosen, x, weight, style, groups=groups)
        else:
            step, (y, sides) = 1, _transposed(chosen, x, weight, style, up, sides, groups)
        if after is not None:
            return upfirdn2d_act(
                chosen, y, f, *after, up=step, sides=sides, flip_filter=flip_filter,
                filter_gain=float(up * up),
            )  # fmt: skip
        y = resampled(y, f, (step, step), (1, 1), sides, flip_filter, up * up, chosen)
        if down == 1:
            return y
        return resampled(y, f, (1, 1), (down, down), (0, 0, 0, 0), flip_filter, 1.0, chosen)
    if down > 1 and (f is not None or pointwise):
        step = down if pointwise else 1
        x = resampled(x, f, (1, 1), (step, step), sides, flip_filter, 1.0, chosen)
        return convolve(
            chosen, x, weight, style, stride=(down // step, down // step), groups=groups
        )
    return _padded(chosen, x, weight, style, down, sides, groups)


def _padded(
    chosen: str,
    x: Tensor,
    weight: Tensor,
    style: Tensor | None,
    stride: int,
    sides: Sides,
    groups: int,
) -> Tensor:
    """Convolve with any padding; a copy is padded only if the convolution can't do it."""
    # (y, x), before the image.
    padding = (sides[2], sides[0])
    after = (sides[3], sides[1])
    same = padding == after
    if not same:
        # The padding behind the image may differ if the stride doesn't reach it.
        spans = [x.shape[2 + i] + padding[i] - weight.shape[2 + i] for i in (0, 1)]
        same = all((s + p) // stride == (s + q) // stride for s, p, q in zip(spans, padding, after))
    if min(padding) < 0 or not same:
        x = resampled(x, None, (1, 1), (1, 1), sides, False, 1.0, chosen)
        padding = (0, 0)
    return convolve(
        chosen, x, weight, style, stride=(stride, stride), padding=padding, groups=groups
    )


def _transposed(
    chosen: str,
    x: Tensor,
    weight: Tensor,
    style: Tensor | None,
    up: int,
    sides: Sides,
    groups: int,
) -> tuple[Tensor, Sides]:
    """Convolve the image with zeros inserted; return it and the padding that it still needs."""
    o, c, kh, kw = weight.shape
    if groups == 1:
        weight = weight.transpose(0, 1)
    else:
        weight = weight.reshape(groups, o // groups, c, kh, kw).transpose(1, 2)
        weight = weight.reshape(groups * c, o // groups, kh, kw)
    crop, rest = around_transposed((kh, kw), up, sides)
    y = convolve_transposed(chosen, x, weight, style, stride=(up, up), padding=crop, groups=groups)
    return y, rest
