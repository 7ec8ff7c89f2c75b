"""Activations that the ops know, and their settings."""

from __future__ import annotations

import math

from torch import Tensor

from fastgan.ops._checks import kind

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

Options = tuple[str, float, float, float | None]
"""``(act, alpha, gain, clamp)``, as the registered ops take them."""


def _number(name: str, value: float) -> float:
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
    alpha = _number("alpha", default_alpha if alpha is None or act != "lrelu" else alpha)
    gain = _number("gain", default_gain if gain is None else gain)
    # math.isfinite breaks the graph where torch.compile has made the number symbolic.
    if not -math.inf < alpha < math.inf:
        raise ValueError(f"alpha must be a finite number, got {alpha}")
    if not -math.inf < gain < math.inf:
        raise ValueError(f"gain must be a finite number, got {gain}")
    if clamp is not None:
        clamp = _number("clamp", clamp)
        if not 0 <= clamp < math.inf:
            raise ValueError(
                f"clamp must be a finite number of at least 0, or None for no clamp, got {clamp}"
            )
    return act, alpha, gain, clamp


def torch_activation_options(
    act: str, alpha: float | None, gain: float, clamp: float | None
) -> Options:
    """Return ``(act, alpha, gain, clamp)`` for ops with torch's names, whose gain is a number.

    Raises:
        TypeError, ValueError: as :func:`activation_options`; also for a gain of None.
    """
    return activation_options(act, alpha, _number("gain", gain), clamp)
