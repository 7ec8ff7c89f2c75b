"""modulation_factors: the factors of a modulated convolution, from weights and styles.

The maths is in this folder's README.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastgan.ops._define import define
from fastgan.ops._derived import derived
from fastgan.ops._library import ops_of
from fastgan.ops.modulation_factors import reference

__all__ = ["modulation_factors"]

Gradients = tuple[Tensor | None, ...]


def _fake(
    weight: Tensor, styles: Tensor, gain: Any, dtype: torch.dtype, demodulate: bool,
    normalize: bool, channels_last: bool, flip: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    o, c, kh, kw = weight.shape
    n = styles.shape[0]
    scaled = weight.new_empty(0, dtype=dtype)
    if reference.copies_weight(weight, dtype, normalize, channels_last, flip):
        scaled = weight.new_empty((o, kh, kw, c) if channels_last else weight.shape, dtype=dtype)
        scaled = scaled.permute(0, 3, 1, 2) if channels_last else scaled
    return (
        scaled,
        weight.new_empty(n, c, dtype=dtype),
        weight.new_empty((n, o) if demodulate or normalize else (0,), dtype=dtype),
        weight.new_empty((o, c) if demodulate else (0,)),
        weight.new_empty(o if demodulate and normalize else 0),
        weight.new_empty(n if normalize else 0),
        weight.new_empty((n, o) if demodulate else (0,)),
    )


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    weight, styles, gain, *ctx.settings = inputs
    ctx.mark_non_differentiable(*output[3:])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(weight, styles, gain, *output[3:])


def _backward(
    ops: Any, ctx: Any, dweight: Any, dstyles: Any, dscale: Any, *others: Any
) -> Gradients:
    weight, styles, gain, *sums = ctx.saved_tensors
    dtype, demodulate, normalize, _, flip = ctx.settings
    # Nothing depends on a result that was left out.
    dweight = None if dweight is None or dweight.ndim < 4 else dweight
    dscale = None if dscale is None or dscale.ndim < 2 else dscale
    if dweight is None and dstyles is None and dscale is None:
        return ()
    needs = ctx.needs_input_grad[:3]
    found = ops.modulation_factors_backward(
        dweight, dstyles, dscale, weight, styles, gain, *sums, dtype, demodulate, normalize, flip,
        *needs,
    )  # fmt: skip
    return tuple(t if need else None for t, need in zip(found, needs))


define(
    "modulation_factors(Tensor weight, Tensor styles, Tensor? gain, ScalarType dtype, bool "
    "demodulate, bool normalize, bool channels_last, bool flip) -> (Tensor, Tensor, Tensor, "
    "Tensor, Tensor, Tensor, Tensor)",
    reference.modulation_factors_with_sums,
    fake=_fake,
    setup_context=_context,
    backward=_backward,
    triton="fastgan.ops.modulation_factors",
)


def _backward_fake(
    dweight: Any, dstyles: Any, dscale: Any, weight: Tensor, styles: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    shapes = (weight.shape, styles.shape, styles.shape)
    return tuple(weight.new_empty(s if need else (0,)) for s, need in zip(shapes, rest[-3:]))


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:10])
    ctx.settings = inputs[10:]


def _double_backward(ops: Any, ctx: Any, *grads: Tensor | None) -> Gradients:
    tensors, sums = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
    return derived(
        lambda *given: reference.modulation_factors_backward(*given, *sums, *ctx.settings),
        tensors,
        grads,
    )


define(
    "modulation_factors_backward(Tensor? dweight, Tensor? dstyles, Tensor? dscale, Tensor weight, "
    "Tensor styles, Tensor? gain, Tensor squares, Tensor norm, Tensor largest, Tensor root, "
    "ScalarType dtype, bool demodulate, bool normalize, bool flip, bool need_dweight, bool "
    "need_dstyles, bool need_dgain) -> (Tensor, Tensor, Tensor)",
    reference,
    fake=_backward_fake,
    setup_context=_backward_context,
    backward=_double_backward,
    triton="fastgan.ops.modulation_factors",
)


def modulation_factors(
    chosen: str, weight: Tensor, styles: Tensor, gain: Tensor | None = None, *,
    dtype: torch.dtype, demodulate: bool = True, normalize: bool = False,
    channels_last: bool = False, flip: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
    """Return ``(weight, styles, scale)`` for ``scale · conv(x · styles, weight)``.

    That is the modulated convolution; see :func:`fastgan.ops.modulated_conv2d`.

    Args:
        chosen: backend.
        weight: ``[O, C, kh, kw]``, float32 or float64.
        styles: ``[N, C]`` of the dtype of ``weight``.
        gain: ``[]``, ``[C]`` or ``[N, C]`` of that dtype, which scales the styles without an effect
            on ``scale``. None is 1.
        dtype: that of the results: a half type or float32 for weights in float32, else float64.
        demodulate: ``scale`` normalises the modulated weights.
        normalize: divide styles by their largest magnitude per sample and, to be demodulated,
            weights by their norm per output channel. ``scale`` makes up for it. The divisors count
            as constants.
        channels_last: return weights in that layout.
        flip: return reversed weights.

    Returns:
        Weights, styles, and scale ``[N, O]``. The scale is None for 1.
    """
    settings = (dtype, demodulate, normalize, channels_last, flip)
    if chosen == "reference":
        return reference.modulation_factors(weight, styles, gain, *settings)
    # The op takes the gain in any strides.
    gain = None if gain is None else gain.expand(styles.shape)
    scaled, t, scale, *_ = ops_of(chosen).modulation_factors(weight, styles, gain, *settings)
    copied = reference.copies_weight(weight, dtype, normalize, channels_last, flip)
    return scaled if copied else weight, t, scale if demodulate or normalize else None
