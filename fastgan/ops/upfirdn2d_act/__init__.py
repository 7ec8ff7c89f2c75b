"""upfirdn2d_act: upfirdn2d, then scale_bias_act, in one pass over the image.

The maths is in this folder's README.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._activations import Options, slope_needs_input
from fastgan.ops._checks import fitting_parameter
from fastgan.ops._define import define
from fastgan.ops._layout import image_like
from fastgan.ops._library import ops_of
from fastgan.ops.upfirdn2d.arguments import Sides, filter_taps, places_and_size
from fastgan.ops.upfirdn2d_act import reference

__all__ = ["upfirdn2d_act"]

Gradients = tuple[Tensor | None, ...]


def _fake(
    x: Tensor, f: Any, scale: Any, noise: Any, b: Any, up: Any, down: Any, pad: Any, size: Any,
    *settings: Any,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    keep = settings[-1]
    pixels = (size[1], size[0])
    return image_like(x, pixels), image_like(x, pixels) if keep else x.new_empty(0)


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, f, scale, noise, b, up, down, pad, _, flip, filter_gain, *options, keep = inputs
    ctx.set_materialize_grads(False)
    if not keep:
        ctx.mark_non_differentiable(output[1])
    sloped = slope_needs_input(options[0], options[3])
    z = None
    if sloped or ctx.needs_input_grad[2]:
        z = output[1] if keep else x
    taps = filter_taps(f)
    before = [taps[0] - 1 - pad[0], taps[1] - 1 - pad[1]]
    shape = [x.shape[3], x.shape[2]]
    ctx.recompute = None if keep else inputs[5:11]
    ctx.adjoint = down, up, before, shape, not flip, filter_gain
    ctx.options = options
    wants_noise = sloped or ctx.needs_input_grad[3]
    ctx.save_for_backward(f, z, scale, noise if wants_noise else None, b if sloped else None)


def _backward(ops: Any, ctx: Any, dy: Tensor | None, dz: Tensor | None) -> Gradients:
    f, z, scale, noise, b = ctx.saved_tensors
    needs = ctx.needs_input_grad
    sums: Gradients = (None, None, None)
    if dy is not None:
        if z is not None and ctx.recompute is not None:
            z = ops.upfirdn2d(z, f, *ctx.recompute)
        through, *found = ops.scale_bias_act_backward(
            dy, z, scale, noise, b, *ctx.options, *needs[2:5]
        )
        dz = through if dz is None else through + dz
        sums = tuple(t if need else None for t, need in zip(found, needs[2:5]))
    dx = ops.upfirdn2d(dz, f, *ctx.adjoint) if needs[0] and dz is not None else None
    return dx, None, *sums


# The filtered image is a result that the derivative of the epilogue reads. As a result it has a
# gradient too, so a derivative of any order consists of upfirdn2d and those of scale_bias_act.
define(
    "upfirdn2d_act(Tensor x, Tensor? f, Tensor? scale, Tensor? noise, Tensor? b, int[] up, "
    "int[] down, int[] pad, SymInt[] size, bool flip, float filter_gain, str act, float alpha, "
    "float gain, float? clamp, bool keep) -> (Tensor, Tensor)",
    reference,
    fake=_fake,
    setup_context=_context,
    backward=_backward,
    triton="fastgan.ops.upfirdn2d_act",
)


def upfirdn2d_act(
    chosen: str, x: Tensor, f: Tensor | None, scale: Tensor | None, noise: Tensor | None,
    b: Tensor | None, options: Options, *, up: int = 1, sides: Sides = (0, 0, 0, 0),
    flip_filter: bool = False, filter_gain: float = 1.0,
) -> Tensor:  # fmt: skip
    """Return :func:`fastgan.ops.scale_bias_act` of an image that upfirdn2d filters first.

    Args:
        chosen: backend.
        x: ``[N, C, H, W]`` with at least one pixel.
        f: filter, as in :func:`fastgan.ops.upfirdn2d`.
        scale, noise, b: as in :func:`fastgan.ops.scale_bias_act`, for the filtered image.
        options: ``(act, alpha, gain, clamp)``.
        up: factor of both axes.
        sides: padding left, right, top and bottom.
        flip_filter, filter_gain: as in :func:`fastgan.ops.upfirdn2d`.

    Raises:
        TypeError, ValueError: ``scale``, ``noise`` or ``b`` doesn't fit the filtered image, or that
            has no pixel.
    """
    n, c, h, w = x.shape
    pad, size = places_and_size((w, h), filter_taps(f), (up, up), (1, 1), sides, False)
    scale = fitting_parameter("scale", scale, x, (n, c))
    noise = fitting_parameter("noise", noise, x, *((k, 1, size[1], size[0]) for k in (n, 1)))
    b = fitting_parameter("b", b, x, (c,))
    sloped = slope_needs_input(options[0], options[3])
    tensors = (x, scale, noise, b) if sloped else (scale,)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    call = reference.upfirdn2d_act if chosen == "reference" else ops_of(chosen).upfirdn2d_act
    settings = ([up, up], [1, 1], list(pad), list(size), flip_filter, filter_gain)
    result: Tensor = call(x, f, scale, noise, b, *settings, *options, keep)[0]
    return result
