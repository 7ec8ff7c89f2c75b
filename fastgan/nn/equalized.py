"""Layers with an equalised learning rate (Karras et al. 2018, section 4.1).

Parameters are drawn from N(0, 1) and scaled to He's initialisation at each use. An optimiser such
as Adam divides by the size of the gradient, and so changes all layers at the same relative rate.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.resample import Taps, _Filtered
from fastgan.nn.scaling import scaled_parameters
from fastgan.ops._activations import activation_options
from fastgan.ops._checks import check_at_least, check_input


class EqualLinear(nn.Module):
    """Linear layer with an equalised learning rate, bias and activation.

    Args:
        in_features, out_features: sizes of the last dimension.
        bias: add a learned bias.
        act: activation as in :func:`fastgan.ops.bias_act`.
        lr_multiplier: learning rate of this layer relative to others, such as 0.01 in StyleGAN's
            mapping network. The initial output does not depend on it.
        bias_init: initial value of the bias.

    Shape:
        ``[..., in_features]`` → ``[..., out_features]`` in the dtype of the input. Parameters are
        cast to that dtype.

    Raises:
        ValueError: an argument is out of range, or the input has another shape.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        act: str = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        check_at_least(1, in_features=in_features, out_features=out_features)
        _check_multiplier(lr_multiplier)
        activation_options(act, None, None, None)
        self.act, self.lr_multiplier = act, lr_multiplier
        self.scale = lr_multiplier / math.sqrt(in_features)
        self.factors = {"weight": self.scale, "bias": lr_multiplier}
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        start = torch.full([out_features], bias_init / lr_multiplier)
        self.register_parameter("bias", nn.Parameter(start) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        check_input(x)
        if x.ndim == 0 or x.shape[-1] != self.weight.shape[1]:
            raise ValueError(
                f"x must have shape [..., {self.weight.shape[1]}], got {list(x.shape)}"
            )
        weight, bias = scaled_parameters(self, x.dtype)
        if self.act == "linear":
            return F.linear(x, weight, bias)
        return ops.bias_act(F.linear(x, weight), bias, dim=-1, act=self.act)

    def extra_repr(self) -> str:
        out_features, in_features = self.weight.shape
        return (
            f"{in_features}, {out_features}, bias={self.bias is not None}, act={self.act!r}, "
            f"lr_multiplier={self.lr_multiplier}"
        )


class EqualConv2d(_Filtered):
    """Convolution with an equalised learning rate, bias, activation and resampling.

    It is a layer of StyleGAN2's discriminator (Karras et al. 2020).

    Args:
        in_channels, out_channels: sizes of the channel dimension.
        kernel_size: size along both axes; odd, so that height and width are kept.
        bias: add a learned bias, which starts at zero.
        act, alpha, gain, clamp: as in :func:`fastgan.ops.bias_act`.
        up, down: factors as in :func:`fastgan.ops.conv2d_resample`.
        resample_filter: taps of its filter, normalised to sum 1; None for no filter.
        lr_multiplier: as in :class:`EqualLinear`.

    Shape:
        ``[N, in_channels, H, W]`` → ``[N, out_channels, H·up // down, W·up // down]`` in the dtype
        of the input. Parameters are cast to that dtype.

    Raises:
        ValueError: an argument is out of range.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        bias: bool = True,
        act: str = "linear",
        alpha: float | None = None,
        gain: float | None = None,
        clamp: float | None = None,
        up: int = 1,
        down: int = 1,
        resample_filter: Taps | None = (1, 3, 3, 1),
        lr_multiplier: float = 1.0,
    ) -> None:
        # A single tap of 1 is the identity.
        super().__init__((1,) if resample_filter is None else resample_filter)
        _check_odd(kernel_size)
        check_at_least(1, in_channels=in_channels, out_channels=out_channels, up=up, down=down)
        _check_multiplier(lr_multiplier)
        activation_options(act, alpha, gain, clamp)
        self.act, self.alpha, self.gain, self.clamp = act, alpha, gain, clamp
        self.up, self.down, self.lr_multiplier = up, down, lr_multiplier
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.scale = lr_multiplier / math.sqrt(in_channels * kernel_size**2)
        self.factors = {"weight": self.scale, "bias": lr_multiplier}
        self.weight = nn.Parameter(torch.randn(shape) / lr_multiplier)
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_channels)) if bias else None)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = scaled_parameters(self, x.dtype)
        padding = weight.shape[2] // 2
        if self.up == self.down == 1:
            act, alpha, gain, clamp = activation_options(
                self.act, self.alpha, self.gain, self.clamp
            )
            return ops.conv2d(
                x, weight, bias, padding=padding, act=act, alpha=alpha, gain=gain, clamp=clamp
            )
        y = ops.conv2d_resample(x, weight, self.filter, up=self.up, down=self.down, padding=padding)
        return ops.bias_act(
            y, bias, act=self.act, alpha=self.alpha, gain=self.gain, clamp=self.clamp
        )

    def extra_repr(self) -> str:
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        return (
            f"{in_channels}, {out_channels}, {kernel_size}, bias={self.bias is not None}, "
            + _options(self)
        )


def _check_odd(kernel_size: int) -> None:
    """Raise ValueError for a kernel size that is not odd and positive."""
    if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be an odd number of at least 1, got {kernel_size!r}")


def _check_multiplier(lr_multiplier: float) -> None:
    """Raise ValueError for a learning rate multiplier that is not positive."""
    if not 0 < lr_multiplier < math.inf:
        raise ValueError(f"lr_multiplier must be a number above 0, got {lr_multiplier!r}")


def _options(layer: nn.Module) -> str:
    """Return the activation and options that differ from their defaults, for a repr."""
    unset = {"alpha": None, "gain": None, "clamp": None, "up": 1, "down": 1, "demodulate": True}
    options = {name: getattr(layer, name, default) for name, default in unset.items()}
    return ", ".join(
        [f"act={layer.act!r}", *(f"{k}={v}" for k, v in options.items() if v != unset[k])]
    )
