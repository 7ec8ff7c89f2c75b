"""The official module ``bias_act`` on :func:`fastgan.ops.bias_act`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fastgan import ops
from fastgan.compat.stylegan_ops._impl import backend_of
from fastgan.ops._activations import ACTIVATIONS

__all__ = ["bias_act"]


@dataclass(frozen=True)
class Activation:
    """An entry of ``activation_funcs``."""

    name: str
    """Name of the activation."""
    def_alpha: float
    """Default of ``alpha``."""
    def_gain: float
    """Default of ``gain``."""
    has_2nd_grad: bool
    """True if the second derivative isn't zero everywhere."""

    def func(self, x: Tensor, alpha: float | None = None, **_: Any) -> Tensor:
        """Apply the activation alone, without gain."""
        return ops.bias_act(x, dim=0, act=self.name, alpha=alpha, gain=1.0)


activation_funcs = {
    name: Activation(name, *defaults, has_2nd_grad=name not in ("linear", "relu", "lrelu"))
    for name, defaults in ACTIVATIONS.items()
}


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    dim: int = 1,
    act: str = "linear",
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
    impl: str = "cuda",
) -> Tensor:
    """Call :func:`fastgan.ops.bias_act`; ``impl`` is ``"ref"`` or ``"cuda"``."""
    return ops.bias_act(
        x, b, dim=dim, act=act, alpha=alpha, gain=gain, clamp=clamp, backend=backend_of(impl)
    )
