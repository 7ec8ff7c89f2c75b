"""Registration of the 3x3 convolutions by Winograd's algorithm: schemas, fakes, autograd.

Let ``⋆`` be the convolution. Every op here is linear in each of its tensors, and the derivatives
are the same ops again::

    y = (x·style) ⋆ w        t = dy ⋆ᵀ w        dx = t·style        dstyle = Σ t·x
    dw = dy ⋆ᵂ (x·style)

There are no Triton kernels: on a GPU the convolutions are cuDNN's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops import _layout
from fastgan.ops._activations import slope_needs_input
from fastgan.ops._define import define
from fastgan.ops.conv2d import reference

Gradients = tuple[Tensor | None, ...]


def _result(x: Tensor, w: Tensor, k: Any, h: Any, width: Any) -> Tensor:
    shape = (x.shape[0], k, h, width)
    return torch.empty(
        shape, dtype=x.dtype, device=x.device, memory_format=reference.memory_format(x, w)
    )


def through_style(
    ops: Any, t: Tensor | None, style: Tensor | None, x: Tensor | None, need_x: bool,
    need_style: bool,
) -> tuple[Tensor | None, Tensor | None]:  # fmt: skip
    """Return the gradients of ``x`` and ``style`` in ``x·style`` for that of the product, ``t``.

    Both take one pass; those that aren't needed are None.
    """
    if t is None:
        return None, None
    if style is None or x is None or not (need_x and need_style):
        dstyle = (t * x).sum((2, 3)) if need_style and x is not None else None
        return reference.styled(t, style) if need_x else None, dstyle
    dx, dstyle, *_ = ops.scale_bias_act_backward(
        t, x, style, None, None, "linear", 0.0, 1.0, None, True, False, False
    )
    return dx, dstyle


def gradients(
    ops: Any, dz: Tensor, x: Tensor, w: Tensor, style: Tensor | None, pad: Any, needs: Any
) -> Gradients:
    """Return the gradients of ``x``, ``w`` and ``style`` in ``(x·style) ⋆ w`` that are needed."""
    need_x, need_w, need_style = needs
    dx, dstyle = None, None
    if need_style:
        dx, dstyle = ops.winograd_conv2d_input(dz, w, x, style, *pad)
    elif need_x:
        dx = reference.styled(ops.winograd_conv2d(dz, w, None, *pad, True), style)
    return dx, ops.winograd_conv2d_weight(dz, x, style, *pad) if need_w else None, dstyle


# --------------------------------------------------------------------------------- the image


def _fake(x: Tensor, w: Tensor, style: Any, pad_y: int, pad_x: int, transposed: bool) -> Tensor:
    h, width = x.shape[2], x.shape[3]
    if transposed:
        return _result(x, w, w.shape[1], h + 2 - 2 * pad_y, width + 2 - 2 * pad_x)
    return _result(x, w, w.shape[0], h + 2 * pad_y - 2, width + 2 * pad_x - 2)


def _backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, w, style = ctx.saved_tensors
    *pad, transposed = ctx.settings
    if not transposed:
        return gradients(ops, dy, x, w, style, pad, ctx.needs_input_grad[:3])
    # w belongs to the convolution from y to x·style.
    need_x, need_w, need_style = ctx.needs_input_grad[:3]
    t = ops.winograd_conv2d(dy, w, None, *pad, False) if need_x or need_style else None
    dx, dstyle = through_style(ops, t, style, x, need_x, need_style)
    styled = reference.styled(x, style) if need_w else None
    return dx, ops.winograd_conv2d_weight(styled, dy, None, *pad) if need_w else None, dstyle


define(
    "winograd_conv2d(Tensor x, Tensor w, Tensor? style, int pad_y, int pad_x, bool transposed) -> "
    "Tensor",
    reference,
    fake=_fake,
    backward=_backward,
)


# -------------------------------------------------------------- the image, with its epilogue


def _act_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    """Convolve again, since the result before the epilogue wasn't kept."""
    x, w, style, scale, noise, b = ctx.saved_tensors
    pad, options = ctx.settings[:2], ctx.settings[2:]
    act, _, _, clamp = options
    sums = ctx.needs_input_grad[3:6]
    z = None
    if sums[0] or slope_needs_input(act, clamp):
        z = ops.winograd_conv2d(x, w, style, *pad, False)
    dz, *d = ops.scale_bias_act_backward(dy, z, scale, noise, b, *options, *sums)
    given = (t if need else None for t, need in zip(d, sums))
    return *gradients(ops, dz, x, w, style, pad, ctx.needs_input_grad[:3]), *given


define(
    "winograd_conv2d_act(Tensor x, Tensor w, Tensor? style, Tensor? scale, Tensor? noise, Tensor? "
    "b, int pad_y, int pad_x, str act, float alpha, float gain, float? clamp) -> Tensor",
    reference,
    fake=lambda x, w, style, scale, noise, b, pad_y, pad_x, *rest: _fake(
        x, w, style, pad_y, pad_x, False
    ),
    backward=_act_backward,
)


# ------------------------------------------------------------------ gradients of x and style


def _input_fake(dz: Tensor, w: Tensor, x: Tensor, style: Tensor, *pad: Any) -> Gradients:
    return _layout.image_like(x), style.new_empty(style.shape)


def _input_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    dz, w, x, style, *ctx.settings = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(dz, w, x, style, output[0])


def _input_backward(ops: Any, ctx: Any, gdx: Tensor | None, gdstyle: Tensor | None) -> Gradients:
    dz, w, x, style, dx = ctx.saved_tensors
    if gdx is None and gdstyle is None:
        return ()
    need_dz, need_w, need_x, need_style = ctx.needs_input_grad[:4]
    need_x, need_style = need_x and gdstyle is not None, need_style and gdx is not None
    ddz = dw = gx = gstyle = None
    # dx = t·style and dstyle = Σ t·x, so this is the gradient of t:
    if need_dz or need_w:
        if gdx is None:
            to_t = reference.styled(x, gdstyle)
        elif gdstyle is None:
            to_t = reference.styled(gdx, style)
        else:
            to_t = reference.styled(x, gdstyle).addcmul(gdx, style[:, :, None, None])
        ddz = ops.winograd_conv2d(to_t, w, None, *ctx.settings, False) if need_dz else None
        dw = ops.winograd_conv2d_weight(dz, to_t, None, *ctx.settings) if need_w else None
    if need_x or need_style:
        t = ops.winograd_conv2d_unscaled(dx.detach(), style.detach(), dz, w, *ctx.settings)
        gx, gstyle = through_style(ops, t, gdstyle, gdx, need_x, need_style)
    return ddz, dw, gx, gstyle


define(
    "winograd_conv2d_input(Tensor dz, Tensor w, Tensor x, Tensor style, int pad_y, int pad_x) -> "
    "(Tensor, Tensor)",
    reference,
    fake=_input_fake,
    setup_context=_input_context,
    backward=_input_backward,
)


def _unscaled_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, _, dz, w, *ctx.settings = inputs
    ctx.save_for_backward(dz, w)


def _unscaled_backward(ops: Any, ctx: Any, g: Tensor) -> Gradients:
    dz, w = ctx.saved_tensors
    _, _, need_dz, need_w = ctx.needs_input_grad[:4]
    ddz = ops.winograd_conv2d(g, w, None, *ctx.settings, False) if need_dz else None
    dw = ops.winograd_conv2d_weight(dz, g, None, *ctx.settings) if need_w else None
    return None, None, ddz, dw


# t = dz ⋆ᵀ w if dx = t·style is known: a division replaces a convolution. It isn't differentiated
# in dx and style.
define(
    "winograd_conv2d_unscaled(Tensor dx, Tensor style, Tensor dz, Tensor w, int pad_y, int pad_x) "
    "-> Tensor",
    reference,
    fake=lambda dx, *rest: _layout.image_like(dx),
    setup_context=_unscaled_context,
    backward=_unscaled_backward,
)


# ------------------------------------------------------------------- gradient of the weights


def _weight_fake(dy: Tensor, x: Tensor, style: Any, *pad: int) -> Tensor:
    return x.new_empty(dy.shape[1], x.shape[1], 3, 3)


def _weight_backward(ops: Any, ctx: Any, gdw: Tensor) -> Gradients:
    dy, x, style = ctx.saved_tensors
    need_dy, need_x, need_style = ctx.needs_input_grad[:3]
    ddy = ops.winograd_conv2d(x, gdw, style, *ctx.settings, False) if need_dy else None
    dx, _, dstyle = gradients(ops, dy, x, gdw, style, ctx.settings, (need_x, False, need_style))
    return ddy, dx, dstyle


define(
    "winograd_conv2d_weight(Tensor dy, Tensor x, Tensor? style, int pad_y, int pad_x) -> Tensor",
    reference,
    fake=_weight_fake,
    backward=_weight_backward,
)


# -------------------------------------------------------------------------------- resampling
#
# The convolution of stride 2 and its transpose, y = (x·style) ⋆₂ w and y = (x·style) ⋆₂ᵀ w. Each is
# the other's gradient.


def _up_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, w, style = ctx.saved_tensors
    need_x, need_w, need_style = ctx.needs_input_grad
    t = ops.winograd_conv2d_down(dy, w, None) if need_x or need_style else None
    dx, dstyle = through_style(ops, t, style, x, need_x, need_style)
    dw = ops.winograd_conv2d_down_weight(reference.styled(x, style), dy, None) if need_w else None
    return dx, dw, dstyle


define(
    "winograd_conv_transpose2d(Tensor x, Tensor w, Tensor? style) -> Tensor",
    reference,
    fake=lambda x, w, style: _result(x, w, w.shape[1], 2 * x.shape[2] + 1, 2 * x.shape[3] + 1),
    backward=_up_backward,
)


def _down_gradients(
    ops: Any, dy: Tensor, x: Tensor, w: Tensor, style: Tensor | None, needs: Any
) -> Gradients:
    """Return the gradients of ``x`` and ``style`` in ``(x·style) ⋆₂ w`` that are needed."""
    need_x, need_style = needs
    t = ops.winograd_conv_transpose2d(dy, w, None) if need_x or need_style else None
    return through_style(ops, t, style, x, need_x, need_style)


def _down_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, w, style = ctx.saved_tensors
    need_x, need_w, need_style = ctx.needs_input_grad
    dx, dstyle = _down_gradients(ops, dy, x, w, style, (need_x, need_style))
    return dx, ops.winograd_conv2d_down_weight(dy, x, style) if need_w else None, dstyle


define(
    "winograd_conv2d_down(Tensor x, Tensor w, Tensor? style) -> Tensor",
    reference,
    fake=lambda x, w, style: _result(x, w, w.shape[0], x.shape[2] // 2, x.shape[3] // 2),
    backward=_down_backward,
)


def _down_weight_backward(ops: Any, ctx: Any, gdw: Tensor) -> Gradients:
    dy, x, style = ctx.saved_tensors
    need_dy, need_x, need_style = ctx.needs_input_grad
    ddy = ops.winograd_conv2d_down(x, gdw, style) if need_dy else None
    return ddy, *_down_gradients(ops, dy, x, gdw, style, (need_x, need_style))


define(
    "winograd_conv2d_down_weight(Tensor dy, Tensor x, Tensor? style) -> Tensor",
    reference,
    fake=_weight_fake,
    backward=_down_weight_backward,
)


# ---------------------------------------------------------------------- 1x1 in channels_last
#
# y = x·wᵀ with pixels as rows. Torch's derivative of a batched product gives some gradients as
# columns. Such an image has its channels apart in memory, and later ops take several times as long.


def _product_backward(ops: Any, ctx: Any, dy: Tensor) -> Gradients:
    x, w = ctx.saved_tensors
    need_x, need_w = ctx.needs_input_grad
    dx = ops.product_per_sample(dy, w.transpose(1, 2)) if need_x else None
    return dx, ops.product_per_sample_weight(dy, x) if need_w else None


define(
    "product_per_sample(Tensor x, Tensor w) -> Tensor",
    reference,
    fake=lambda x, w: x.new_empty(x.shape[0], x.shape[1], w.shape[1]),
    backward=_product_backward,
)


def _product_weight_backward(ops: Any, ctx: Any, gdw: Tensor) -> Gradients:
    dy, x = ctx.saved_tensors
    need_dy, need_x = ctx.needs_input_grad
    ddy = ops.product_per_sample(x, gdw) if need_dy else None
    return ddy, ops.product_per_sample(dy, gdw.transpose(1, 2)) if need_x else None


define(
    "product_per_sample_weight(Tensor dy, Tensor x) -> Tensor",
    reference,
    fake=lambda dy, x: x.new_empty(x.shape[0], dy.shape[2], x.shape[2]),
    backward=_product_weight_backward,
)
