# mypy: disable-error-code="no-untyped-def, assignment"
"""Activations in Triton, with their first two derivatives; ``ACT`` is a name of the ops.

The kernels take ``linear`` and ``relu`` as ``lrelu`` with the slope in :data:`PIECEWISE`.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl

#: Slopes below zero of activations that are cases of ``lrelu``.
PIECEWISE = {"linear": 1.0, "relu": 0.0}

SELU_SCALE = tl.constexpr(1.0507009873554804934193349852946)
SELU_SLOPE = tl.constexpr(1.0507009873554804934193349852946 * 1.6732632423543772848170429916717)


def rounded_clamp(clamp: float | None, dtype: torch.dtype) -> float:
    """Round the clamp as a result is rounded; NaN for None.

    So a clamped result is recognised by comparing it with the clamp.
    """
    return math.nan if clamp is None else torch.tensor(clamp, dtype=torch.float64).to(dtype).item()


@triton.jit
def expm1_of_negative(x):
    """Return e^x - 1 for x <= 0, without cancellation near zero."""
    p = x * 0.0 + 1.0 / 87178291200.0  # 1/14!
    p = p * x + 1.0 / 6227020800.0
    p = p * x + 1.0 / 479001600.0
    p = p * x + 1.0 / 39916800.0
    p = p * x + 1.0 / 3628800.0
    p = p * x + 1.0 / 362880.0
    p = p * x + 1.0 / 40320.0
    p = p * x + 1.0 / 5040.0
    p = p * x + 1.0 / 720.0
    p = p * x + 1.0 / 120.0
    p = p * x + 1.0 / 24.0
    p = p * x + 1.0 / 6.0
    p = p * x + 0.5
    return tl.where(x > -0.5, (p * x + 1.0) * x, tl.exp(x) - 1.0)


@triton.jit
def log1p_of_fraction(x):
    """Return ln(1 + x) for 0 <= x <= 1: 2 artanh(x / (2 + x)), its series to the 33rd power."""
    s = x / (2.0 + x)
    t = s * s
    p = t * 0.0 + 1.0 / 33.0
    for i in tl.static_range(15):
        p = p * t + 1.0 / (31.0 - 2.0 * i)
    return 2.0 * s * (p * t + 1.0)


@triton.jit
def sigmoid_with_slope(v):
    """Return sigmoid(v) and its derivative.

    Both are made of e^-|v|, which neither overflows nor cancels.
    """
    e = tl.exp(-tl.abs(v))
    large = 1.0 / (1.0 + e)
    small = e * large
    return tl.where(v < 0, small, large), large * small


@triton.jit
def _tanh(v):
    t = expm1_of_negative(-2.0 * tl.abs(v))
    magnitude = -t / (2.0 + t)
    return tl.where(v < 0, -magnitude, magnitude)


@triton.jit
def act_value(v, alpha, ACT: tl.constexpr):
    """Return the activation at v."""
    if ACT == "tanh":
        y = _tanh(v)
    elif ACT == "sigmoid":
        y, _ = sigmoid_with_slope(v)
    elif ACT == "elu":
        y = tl.where(v > 0, v, expm1_of_negative(tl.where(v > 0, 0.0, v)))
    elif ACT == "selu":
        y = tl.where(v > 0, v * SELU_SCALE, expm1_of_negative(tl.where(v > 0, 0.0, v)) * SELU_SLOPE)
    elif ACT == "softplus":
        y = tl.where(v < 0, 0.0, v) + log1p_of_fraction(tl.exp(-tl.abs(v)))
    elif ACT == "swish":
        s, _ = sigmoid_with_slope(v)
        y = v * s
    else:
        # Slope 1 above zero, alpha below. An alpha of 0 is a case of its own: relu(-inf) is 0.
        y = tl.where(v < 0, tl.where(alpha == 0, 0.0, v * alpha), v)
    return y


@triton.jit
def act_slope(v, alpha, ACT: tl.constexpr):
    """Return the first derivative of the activation at v."""
    if ACT == "tanh":
        t = _tanh(v)
        d = (1.0 - t) * (1.0 + t)
    elif ACT == "sigmoid":
        _, d = sigmoid_with_slope(v)
    elif ACT == "elu":
        d = tl.where(v > 0, 1.0, tl.exp(tl.where(v > 0, 0.0, v)))
    elif ACT == "selu":
        d = tl.where(v > 0, SELU_SCALE, tl.exp(tl.where(v > 0, 0.0, v)) * SELU_SLOPE)
    elif ACT == "softplus":
        d, _ = sigmoid_with_slope(v)
    elif ACT == "swish":
        s, ds = sigmoid_with_slope(v)
        d = s + v * ds
    else:
        d = tl.where(v > 0, v * 0.0 + 1.0, v * 0.0 + alpha)
    return d


@triton.jit
def act_curvature(v, ACT: tl.constexpr):
    """Return the second derivative of a curved activation at v."""
    if ACT == "tanh":
        t = _tanh(v)
        d = -2.0 * t * (1.0 - t) * (1.0 + t)
    elif ACT == "sigmoid":
        s, ds = sigmoid_with_slope(v)
        d = ds * (1.0 - 2.0 * s)
    elif ACT == "elu":
        d = tl.where(v > 0, 0.0, tl.exp(tl.where(v > 0, 0.0, v)))
    elif ACT == "selu":
        d = tl.where(v > 0, 0.0, tl.exp(tl.where(v > 0, 0.0, v)) * SELU_SLOPE)
    elif ACT == "softplus":
        _, d = sigmoid_with_slope(v)
    else:
        s, ds = sigmoid_with_slope(v)
        d = 2.0 * ds + v * ds * (1.0 - 2.0 * s)
    return d
