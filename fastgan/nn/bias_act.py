from __future__ import annotations

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.ops._activations import activation_options
from fastgan.ops._checks import check_at_least


class BiasAct(nn.Module):
    """Learned bias, activation, gain and clamp in one pass, by :func:`fastgan.ops.bias_act`.

    Args:
        num_channels: size of the input along ``dim``; None for no bias. The bias starts at zero.
        act, alpha, gain, clamp, dim: as in :func:`fastgan.ops.bias_act`.

    Shape:
        ``[*]`` with ``num_channels`` along ``dim`` → the same; usually ``[N, C, H, W]`` or
        ``[N, C]``.

    Raises:
        ValueError: an argument is out of range.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        num_channels: int | None,
        *,
        act: str = "linear",
        alpha: float | None = None,
        gain: float | None = None,
        clamp: float | None = None,
        dim: int = 1,
    ) -> None:
        super().__init__()
        if num_channels is not None:
            check_at_least(1, num_channels=num_channels)
        activation_options(act, alpha, gain, clamp)
        self.act, self.alpha, self.gain, self.clamp, self.dim = act, alpha, gain, clamp, dim
        bias = None if num_channels is None else nn.Parameter(torch.zeros(num_channels))
        self.register_parameter("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return ops.bias_act(
            x,
            self.bias,
            dim=self.dim,
            act=self.act,
            alpha=self.alpha,
            gain=self.gain,
            clamp=self.clamp,
        )

    def extra_repr(self) -> str:
        channels = None if self.bias is None else self.bias.numel()
        options = {
            k: getattr(self, k) for k in ("alpha", "gain", "clamp") if getattr(self, k) is not None
        }
        return ", ".join(
            [f"{channels}", f"act={self.act!r}", *(f"{k}={v}" for k, v in options.items())]
        )
