"""Layers of the translation networks, and checks of their inputs."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.networks.checks import check_choice, check_shape
from fastgan.nn import BatchNormAct2d, BiasAct, Conv2d, InstanceNormAct2d

NORMS = ("instance", "batch", "none")


def norm_act(norm: str, channels: int, act: str, *, affine: bool = False) -> nn.Module:
    """Return a norm fused with an activation; for ``none`` a bias fused with it.

    Args:
        norm: ``instance``, ``batch`` or ``none``.
        channels: channels of the input.
        act: activation as in :func:`fastgan.ops.adaptive_norm`.
        affine: give instance norm a scale and shift; batch norm always has them.

    Raises:
        ValueError: ``norm`` is unknown.
    """
    check_choice("norm", norm, NORMS)
    if norm == "instance":
        return InstanceNormAct2d(channels, affine=affine, act=act)
    if norm == "batch":
        return BatchNormAct2d(channels, act=act)
    return BiasAct(channels, act=act, gain=1)


class UpConv2d(nn.ConvTranspose2d):
    """3×3 transposed convolution of stride 2 without bias, ``[N, C, H, W]`` → ``[N, O, 2H, 2W]``.

    It is torch's with a padding and an output padding of 1, by
    :func:`fastgan.ops.conv_transpose2d`, whose Winograd kernel returns one more row and column.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2, padding=1, output_padding=1, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        # In contrast to a slice, padding by -1 keeps channels_last, and so does its gradient.
        return F.pad(ops.conv_transpose2d(x, self.weight, stride=2), (-1, 0, -1, 0))


class DownConv2d(Conv2d):
    """3×3 convolution of stride 2 without bias, ``[N, C, 2H, 2W]`` → ``[N, O, H, W]``.

    Images are reflected at the upper and left edges. The kernel never reaches the other edges, and
    without padding there the Winograd kernel applies.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (1, 0, 1, 0), "reflect"))


class ImageConv2d(Conv2d):
    """7×7 convolution to the channels of an image, and tanh, ``[N, C, H, W]`` → ``[N, O, H, W]``.

    oneDNN computes many channels at a time, but an image has few. On the CPU the seven rows of the
    kernel are therefore convolved as channels of one 1×7 convolution, and then added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect"] = "reflect",
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            7,
            padding=3,
            bias=bias,
            padding_mode=padding_mode,
            act="tanh",
        )

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        # [7·O, C, 1, 7].
        rows = self.weight.flip(2).transpose(1, 2).flatten(0, 1)[:, :, None]
        y = ops.conv2d(F.pad(x, (3, 3, 3, 3), mode), rows)
        y = F.fold(y.flatten(2), x.shape[2:], (7, 1), padding=(6, 0))
        return ops.bias_act(y, self.bias, act=self.act)


class ResidualBlock(nn.Module):
    """Residual block ``x + norm(conv(relu(norm(conv(x)))))``, ``[N, C, H, W]`` → the same.

    Johnson et al. 2016, without a ReLU at the end.

    Args:
        channels: C.
        norm, affine: as in :func:`norm_act`.
        padding_mode: padding of both 3×3 convolutions.
    """

    def __init__(
        self,
        channels: int,
        *,
        norm: str = "instance",
        affine: bool = False,
        padding_mode: Literal["zeros", "reflect"] = "reflect",
    ) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            Conv2d(channels, channels, 3, padding=1, bias=False, padding_mode=padding_mode)
            for _ in range(2)
        )
        self.norm1 = norm_act(norm, channels, "relu", affine=affine)
        self.norm2 = norm_act(norm, channels, "linear", affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.norm1(self.conv1(x)))
        if isinstance(self.norm2, (BatchNormAct2d, InstanceNormAct2d)):
            result: Tensor = self.norm2(y, x)
            return result
        return x + self.norm2(y)


@torch.no_grad()
def init_normal(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02) and set biases to zero, in place."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def init_by_fan_in(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 1 / fan_in) and set biases to zero, in place.

    At the learning rates of narrow networks an update changes weights of N(0, 0.02) by a tenth.
    """
    if isinstance(module, nn.ConvTranspose2d):
        taps = math.prod(module.kernel_size) / math.prod(module.stride)
        nn.init.normal_(module.weight, 0.0, (module.in_channels * taps) ** -0.5)
    elif isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, module.weight[0].numel() ** -0.5)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def as_input(
    x: Tensor, name: str, channels: int, multiple: int = 1, *, least: int = 1, kernel: int = 3
) -> Tensor:
    """Return ``x`` in the memory format that is fastest for a network with kernels of this size.

    The format is channels_last. On the CPU it is contiguous for 4×4 kernels: oneDNN would reorder
    wide weights for channels_last, which takes longer than the convolution of a small image.

    Args:
        x: the input of the network.
        name: name of the input for errors.
        channels: channels that ``x`` must have.
        multiple: number that height and width must be multiples of.
        least: smallest height and width.
        kernel: kernel size of the network.

    Raises:
        ValueError: ``x`` is not a floating-point tensor ``[N, channels, H, W]`` of such a height
            and width.
    """
    check_shape(name, x, channels, "H", "W")
    height, width = x.shape[2:]
    if height % multiple or width % multiple or min(height, width) < max(least, multiple):
        sizes = f"at least {max(least, multiple)} pixels high and wide"
        if multiple > 1:
            sizes += f", multiples of {multiple}"
        raise ValueError(f"{name} must be {sizes}, got {height}×{width}; resize, crop or pad them")
    planar = kernel == 4 and x.device.type == "cpu"
    return x.contiguous(memory_format=torch.contiguous_format if planar else torch.channels_last)
