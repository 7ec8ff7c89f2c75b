"""What the networks between images are made of: a convolution with what follows it, residual blocks, checks of sizes."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn import BatchNormAct2d, BiasAct, Conv2d, InstanceNormAct2d

NORMS = ("instance", "batch", "none")


def norm_act(norm: str, channels: int, act: str, *, affine: bool = False) -> nn.Module:
    """A norm and the activation behind it in one pass; with ``none`` a bias in the norm's place.

    Args:
        norm: ``instance``, ``batch`` or ``none``.
        affine: whether instance norm has a scale and shift of its own; batch norm always has.

    Raises:
        ValueError: another norm.
    """
    if norm == "instance":
        return InstanceNormAct2d(channels, affine=affine, act=act)
    if norm == "batch":
        return BatchNormAct2d(channels, act=act)
    if norm == "none":
        return BiasAct(channels, act=act, gain=1)
    raise ValueError(f"norm must be one of {', '.join(NORMS)}, got {norm!r}")


class UpConv2d(nn.ConvTranspose2d):
    """A 3×3 transposed convolution of stride 2, ``[N, C, H, W]`` → ``[N, O, 2H, 2W]``, without bias.

    It is torch's with a padding and an output padding of 1, by :func:`fastgan.ops.conv_transpose2d`, whose Winograd kernel
    gives one row and one column more.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2, padding=1, output_padding=1, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        # Padding by -1, unlike a slice, keeps channels_last, and so does its gradient.
        return F.pad(ops.conv_transpose2d(x, self.weight, stride=2), (-1, 0, -1, 0))


class DownConv2d(Conv2d):
    """A 3×3 convolution of stride 2, ``[N, C, 2H, 2W]`` → ``[N, O, H, W]``, without bias.

    The image is reflected at its upper and left edge: the others are never reached, and without them Winograd's kernel
    serves.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (1, 0, 1, 0), "reflect"))


class ImageConv2d(Conv2d):
    """A 7×7 convolution to the few channels of an image, and tanh, ``[N, C, H, W]`` → ``[N, O, H, W]``.

    oneDNN computes channels by the dozen. So on the CPU the seven rows of the kernel are convolved apart, as channels of
    one 1×7 convolution, and added where they belong.
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
        rows = self.weight.flip(2).transpose(1, 2).flatten(0, 1)[:, :, None]  # [7·O, C, 1, 7]
        y = ops.conv2d(F.pad(x, (3, 3, 3, 3), mode), rows)
        y = F.fold(y.flatten(2), x.shape[2:], (7, 1), padding=(6, 0))
        return ops.bias_act(y, self.bias, act=self.act)


class ResidualBlock(nn.Module):
    """``x + norm(conv(relu(norm(conv(x)))))``, ``[N, C, H, W]`` → the same (Johnson et al. 2016, without ReLU at the end).

    Args:
        norm: as in :func:`norm_act`. affine: of instance norm.
        padding_mode: of both 3×3 convolutions.
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
    """Draws the weights of convolutions from N(0, 0.02) and sets their biases to zero, in place."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def init_by_fan_in(module: nn.Module) -> None:
    """Draw the weights of convolutions from N(0, 1 / inputs of an output) and set biases to zero, in place.

    With the rates of narrow networks an update changes weights of N(0, 0.02) by a tenth of their size.
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
    """``x`` in the layout that a network of kernels of that size is fastest in, for its first layer to hand on.

    That is channels_last. But on the CPU 4×4 convolutions are oneDNN's, which wants its weights in another order then:
    reordering the wide ones of a small image takes longer than the convolution.

    Raises:
        ValueError: it isn't ``[N, channels, H, W]`` with a height and width that are multiples of ``multiple`` and at least
            ``least``.
    """
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"{name} must have shape [N, {channels}, H, W], got {list(x.shape)}")
    height, width = x.shape[2:]
    if height % multiple or width % multiple or min(height, width) < max(least, multiple):
        sizes = f"at least {max(least, multiple)} pixels high and wide"
        if multiple > 1:
            sizes += f", multiples of {multiple}"
        raise ValueError(f"{name} must be {sizes}, got {height}×{width}; resize, crop or pad them")
    planar = kernel == 4 and x.device.type == "cpu"
    return x.contiguous(memory_format=torch.contiguous_format if planar else torch.channels_last)


def check_widths(**sizes: int) -> None:
    """Raises ValueError for a number of channels, blocks or the like that is below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
