"""The activations that the ops know, and their settings."""

from __future__ import annotations

import math

from torch import Tensor

from fastgan.ops._checks import kind

_SQRT2 = math.sqrt(2.0)

#: Default ``(alpha, gain)`` of each activation. Only ``lrelu`` has an ``alpha``.
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


def _number(name: str, value: float) -> float:
    if isinstance(value, Tensor) and value.requires_grad:
        raise TypeError(
            f"{name} must be a number: a tensor would get no gradient; multiply the result by it instead"
        )
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number, got {kind(value)}") from None


def activation_options(
    act: str, alpha: float | None, gain: float | None, clamp: float | None
) -> tuple[float, float, float | None]:
    """``(alpha, gain, clamp)`` with the defaults of ``act`` filled in.

    Raises:
        TypeError: a setting is no number, or a tensor that requires a gradient, which it would not get.
        ValueError: an unknown activation, or a setting out of range.
    """
    if act not in ACTIVATIONS:
        raise ValueError(f"act must be one of {', '.join(ACTIVATIONS)}, got {act!r}")
    default_alpha, default_gain = ACTIVATIONS[act]
    alpha = _number("alpha", default_alpha if alpha is None or act != "lrelu" else alpha)
    gain = _number("gain", default_gain if gain is None else gain)
    if (
        not -math.inf < alpha < math.inf
    ):  # math.isfinite breaks the graph where torch.compile has made it symbolic
        raise ValueError(f"alpha must be a finite number, got {alpha}")
    if not -math.inf < gain < math.inf:
        raise ValueError(f"gain must be a finite number, got {gain}")
    if clamp is not None:
        clamp = _number("clamp", clamp)
        if not 0 <= clamp < math.inf:
            raise ValueError(
                f"clamp must be a finite number of at least 0, or None for no clamp, got {clamp}"
            )
    return alpha, gain, clamp
