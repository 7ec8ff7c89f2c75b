"""Activations that the ops know: their settings, values and derivatives."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fastgan.ops._checks import kind

SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
_SQRT2 = math.sqrt(2.0)

#: Default ``(alpha, gain)`` of each activation in StyleGAN. Only ``lrelu`` has an ``alpha``.
ACTIVATIONS: dict[str, tuple[float, float]] = {
    "linear": (0.0, 1.0),
    "relu": (0.0, _SQRT2),
    "lrelu": (0.2, _SQRT2),
    "tanh": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "elu": (0.0, 1.0),
    "selu": (0.0, 1.0),
    "softplus": (0.0, 1.0),
    "swish": (0.0, _SQRT2),
}

#: Other names of activations: torch's for swish.
ALIASES = {"silu": "swish"}

#: Activations that aren't piecewise linear: their derivatives need the input.
CURVED = frozenset({"tanh", "sigmoid", "elu", "selu", "softplus", "swish"})

Options = tuple[str, float, float, float | None]
"""``(act, alpha, gain, clamp)``, as the registered ops take them."""


def number(name: str, value: float) -> float:
    if type(value) is float:
        return value
    if isinstance(value, Tensor) and value.requires_grad:
        raise TypeError(
            f"{name} must be a number, got a tensor that requires a gradient; multiply the result "
            "by it instead, since it would get no gradient here"
        )
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number, got {kind(value)}") from None


def activation_options(
    act: str, alpha: float | None, gain: float | None, clamp: float | None
) -> Options:
    """Return ``(act, alpha, gain, clamp)`` with StyleGAN's defaults of ``act`` filled in.

    Raises:
        TypeError: a setting is no number, or is a tensor that requires a gradient.
        ValueError: an unknown activation, or a setting out of range.
    """
    act = ALIASES.get(act, act)
    if act not in ACTIVATIONS:
        names = ", ".join([*ACTIVATIONS, *ALIASES])
        raise ValueError(f"act must be one of {names}, got {act!r}")
    default_alpha, default_gain = ACTIVATIONS[act]
    alpha = default_alpha if alpha is None or act != "lrelu" else number("alpha", alpha)
    gain = default_gain if gain is None else number("gain", gain)
    # math.isfinite breaks the graph where torch.compile has made the number symbolic.
    if not -math.inf < alpha < math.inf:
        raise ValueError(f"alpha must be a finite number, got {alpha}")
    if not -math.inf < gain < math.inf:
        raise ValueError(f"gain must be a finite number, got {gain}")
    if clamp is not None:
        clamp = number("clamp", clamp)
        if not 0 <= clamp < math.inf:
            raise ValueError(
                f"clamp must be a finite number of at least 0, or None for no clamp, got {clamp}"
            )
    return act, alpha, gain, clamp


def slope_needs_input(act: str, clamp: float | None) -> bool:
    """Return True if the derivative depends on the input; else it is the gain everywhere."""
    return act != "linear" or clamp is not None


def torch_activation_options(
    act: str, alpha: float | None, gain: float, clamp: float | None
) -> Options:
    """Return ``(act, alpha, gain, clamp)`` for ops with torch's names, whose gain is a number.

    Raises:
        TypeError, ValueError: as :func:`activation_options`; also for a gain of None.
    """
    return activation_options(act, alpha, number("gain", gain), clamp)


def activation(v: Tensor, act: str, alpha: float) -> Tensor:
    """Return ``act(v)``, elementwise."""
    match act:
        case "linear":
            return v
        case "relu":
            return F.relu(v)
        case "lrelu":
            return F.leaky_relu(v, alpha)
        case "tanh":
            return torch.tanh(v)
        case "sigmoid":
            return torch.sigmoid(v)
        case "elu":
            return F.elu(v)
        case "selu":
            return F.selu(v)
        case "softplus":
            # F.softplus turns linear at 20.
            return torch.logaddexp(v, torch.zeros_like(v))
        case "swish":
            return F.silu(v)
    raise ValueError(f"unknown activation {act!r}")


def derivative(v: Tensor, act: str, alpha: float, order: int) -> Tensor:
    """Return the ``order``-th derivative (1, 2 or 3) of ``act`` at ``v``; itself differentiable."""
    one, zero = torch.ones_like(v), torch.zeros_like(v)
    match act:
        case "linear":
            return one if order == 1 else zero
        case "relu" | "lrelu":
            slope = alpha if act == "lrelu" else 0.0
            return torch.where(v > 0, one, slope * one) if order == 1 else zero
        case "tanh":
            t = torch.tanh(v)
            d1 = (1 - t) * (1 + t)
            return (d1, -2 * t * d1, d1 * (6 * t * t - 2))[order - 1]
        case "elu" | "selu":
            scale = SELU_SCALE if act == "selu" else 1.0
            e = (scale * SELU_ALPHA if act == "selu" else 1.0) * torch.exp(v.clamp(max=0))
            return torch.where(v > 0, scale * one if order == 1 else zero, e)
        case "sigmoid":
            return _sigmoid_derivative(v, order)
        case "softplus":
            return torch.sigmoid(v) if order == 1 else _sigmoid_derivative(v, order - 1)
        case "swish":
            # (v·s)^(k) = v·s^(k) + k·s^(k-1), where s is the sigmoid.
            lower = torch.sigmoid(v) if order == 1 else _sigmoid_derivative(v, order - 1)
            return v * _sigmoid_derivative(v, order) + order * lower
    raise ValueError(f"unknown activation {act!r}")


def _sigmoid_derivative(v: Tensor, order: int) -> Tensor:
    s = torch.sigmoid(v)
    d1 = s * torch.sigmoid(-v)
    return (d1, d1 * (1 - 2 * s), d1 * (1 - 6 * d1))[order - 1]
