from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan._torch_private import explicit_padding
from fastgan.ops._activations import torch_activation_options


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` by :func:`fastgan.ops.conv2d`, with an activation in the same pass.

    Leading arguments, parameters, initialisation and state dict are torch's.

    Args:
        in_channels, ..., dtype: as for :class:`torch.nn.Conv2d`; the dtype is a real one.
        act, alpha, gain, clamp: applied to the result, as in :func:`fastgan.ops.conv2d`.

    Shape:
        ``[N, C, H, W]`` or ``[C, H, W]`` → ``[N, O, H_out, W_out]`` or ``[O, H_out, W_out]``.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        act: str = "linear",
        alpha: float | None = None,
        gain: float = 1.0,
        clamp: float | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
        torch_activation_options(act, alpha, gain, clamp)
        self.act, self.alpha, self.gain, self.clamp = act, alpha, gain, clamp

    def forward(self, x: Tensor) -> Tensor:
        batch = x[None] if x.ndim == 3 else x
        x0, x1, y0, y1 = explicit_padding(self)
        padding = (y0, x0)
        if self.padding_mode != "zeros" or (x0, y0) != (x1, y1):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            batch = F.pad(batch, (x0, x1, y0, y1), mode)
            padding = (0, 0)
        y = ops.conv2d(
            batch, self.weight, self.bias, stride=self.stride, padding=padding,
            dilation=self.dilation, groups=self.groups,
            act=self.act, alpha=self.alpha, gain=self.gain, clamp=self.clamp,
        )  # fmt: skip
        return y[0] if x.ndim == 3 else y

    def extra_repr(self) -> str:
        options = {"act": self.act, "alpha": self.alpha, "gain": self.gain, "clamp": self.clamp}
        unset = {"act": "linear", "alpha": None, "gain": 1.0, "clamp": None}
        return ", ".join(
            [super().extra_repr(), *(f"{k}={v!r}" for k, v in options.items() if v != unset[k])]
        )
