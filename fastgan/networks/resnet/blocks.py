"""Residual blocks with activations in front, and their layers (Miyato et al. 2018, figure 8)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn import ConditionalBatchNorm2d, Conv2d


def conv3x3(in_channels: int, out_channels: int, *, act: str = "linear") -> Conv2d:
    """Return the convolution of a residual branch.

    Its weight is uniform (Glorot and Bengio 2010) with a gain of √2 for the ReLU in front.
    """
    layer = Conv2d(in_channels, out_channels, 3, padding=1, act=act)
    nn.init.xavier_uniform_(layer.weight, math.sqrt(2))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def conv1x1(in_channels: int, out_channels: int) -> Conv2d:
    """Return the convolution of a shortcut."""
    layer = Conv2d(in_channels, out_channels, 1)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def linear(in_features: int, out_features: int) -> nn.Linear:
    """Return a first or last layer."""
    layer = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0), with a second derivative on the kernels."""
    return ops.bias_act(x, act="relu", gain=1)


def upsample(x: Tensor) -> Tensor:
    """Repeat every pixel four times."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class NormReLU(nn.Module):
    """Batch norm, conditional or not, and ReLU.

    Args:
        channels: channels of x.
        cond_dim: 0 for a batch norm with its own scale and shift. Otherwise they depend on a
            condition of this length, or with ``embedding`` on one of so many classes.
        embedding: the condition is a class.

    Shape:
        x ``[N, channels, H, W]``, condition ``[N, cond_dim]`` or int64 ``[N]`` → as x.
    """

    def __init__(self, channels: int, cond_dim: int = 0, *, embedding: bool = False) -> None:
        super().__init__()
        self.norm = (
            ConditionalBatchNorm2d(channels, cond_dim, embedding=embedding)
            if cond_dim
            else nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return relu(self.norm(x) if condition is None else self.norm(x, condition))


class UpBlock(nn.Module):
    """Residual block that doubles the resolution.

    ``[N, in_channels, H, W]`` and a condition → ``[N, out_channels, 2H, 2W]``. ``norm`` returns a
    :class:`NormReLU` for a number of channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: Callable[[int], NormReLU]
    ) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(in_channels), conv3x3(in_channels, out_channels)
        self.norm2, self.conv2 = norm(out_channels), conv3x3(out_channels, out_channels)
        self.skip = conv1x1(in_channels, out_channels)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        y = self.conv1(upsample(self.norm1(x, condition)))
        y = self.conv2(self.norm2(y, condition))
        # A 1×1 convolution commutes with repeating pixels, and costs a quarter before it.
        shortcut: Tensor = upsample(self.skip(x))
        return y + shortcut


class DownBlock(nn.Module):
    """Residual block that halves the resolution.

    ``[N, in_channels, H, W]`` → ``[N, out_channels, H/2, W/2]``, or the same size without ``down``.

    Args:
        in_channels, out_channels: channels of input and output.
        hidden: channels between the two convolutions.
        down: halve the resolution.
        first: x is an image, without a ReLU in front of the first convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int,
        down: bool = True,
        first: bool = False,
    ) -> None:
        super().__init__()
        self.down, self.first = down, first
        self.conv1 = conv3x3(in_channels, hidden, act="relu")
        self.conv2 = conv3x3(hidden, out_channels)
        self.skip = (
            conv1x1(in_channels, out_channels) if down or in_channels != out_channels else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x if self.first else relu(x)))
        if self.down:
            # The shortcut's 1×1 convolution commutes with means, and costs less after them.
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        return y + (x if self.skip is None else self.skip(x))


class ClassVectors(nn.Linear):
    """Vector for each class: a linear map of one-hot labels, under spectral norm like other layers.

    Shape:
        Classes int64 ``[N]`` from 0 to ``classes - 1`` → ``[N, features]``.
    """

    def __init__(self, classes: int, features: int) -> None:
        super().__init__(classes, features, bias=False)
        nn.init.xavier_uniform_(self.weight)

    def forward(self, labels: Tensor) -> Tensor:
        return F.embedding(labels, self.weight.T)
