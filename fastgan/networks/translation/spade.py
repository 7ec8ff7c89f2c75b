"""Generator of SPADE: residual blocks normalised by a semantic map.

Park et al. 2019, appendix A.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastgan import ops
from fastgan.networks.checks import check_at_least, check_choice, check_shape
from fastgan.networks.translation.layers import as_input
from fastgan.nn import SPADE, Conv2d

WIDTHS = (16, 16, 16, 8, 4, 2, 1)
"""Features after each block at 256×256, in units of ngf; smaller images have the last blocks."""


def one_hot_map(classes: Tensor, count: int) -> Tensor:
    """Turn a map of classes int64 ``[N, H, W]`` into planes, float32 ``[N, count, H, W]``.

    Each class has a plane of zeros and ones. Pixels outside 0 to ``count - 1``, of no class, are
    zero in all planes.

    Raises:
        ValueError: the map is not of integers ``[N, H, W]``.
    """
    if classes.ndim != 3 or classes.is_floating_point():
        raise ValueError(
            f"classes must be int64 [N, H, W], got {classes.dtype} {list(classes.shape)}"
        )
    every = torch.arange(count, device=classes.device)[:, None, None]
    return (classes[:, None] == every).float()


class SPADEBlock(nn.Module):
    """Residual block of SPADE, ``[N, in_channels, H, W]`` → ``[N, out_channels, H, W]``.

    SPADE, ReLU and a 3×3 convolution twice, beside a shortcut. Where the channels change, the
    shortcut is SPADE and a 1×1 convolution. The channels between the convolutions are the fewer of
    input and output.

    Args:
        in_channels, out_channels: channels of input and output.
        map_channels: channels of the map.
        hidden: channels of each SPADE between map and modulation.
    """

    def __init__(self, in_channels: int, out_channels: int, map_channels: int, hidden: int) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm1 = SPADE(in_channels, map_channels, hidden=hidden, act="relu")
        self.conv1 = Conv2d(in_channels, middle, 3, padding=1)
        self.norm2 = SPADE(middle, map_channels, hidden=hidden, act="relu")
        self.conv2 = Conv2d(middle, out_channels, 3, padding=1)
        self.norm_skip: SPADE | None = None
        if in_channels != out_channels:
            self.norm_skip = SPADE(in_channels, map_channels, hidden=hidden)
            self.conv_skip = Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor, segmentation: Tensor) -> Tensor:
        y = self.conv1(self.norm1(x, segmentation))
        y = self.conv2(self.norm2(y, segmentation))
        shortcut = x if self.norm_skip is None else self.conv_skip(self.norm_skip(x, segmentation))
        result: Tensor = shortcut + y
        return result


class SPADEGenerator(nn.Module):
    """Map a semantic map ``[N, map_channels, H, W]`` to images ``[N, channels, H, W]`` in [-1, 1].

    A linear layer of z, or without z a 3×3 convolution of the map, makes 4×4 features. Blocks with
    nearest-neighbour upsampling between them follow, then LeakyReLU(0.2), a 3×3 convolution and
    tanh. The paper normalises all weights (:func:`fastgan.nn.apply_spectral_norm`) and takes batch
    statistics over all processes (:func:`fastgan.nn.convert_sync_batchnorm`).

    Args:
        map_channels: planes of the map, see :func:`one_hot_map`.
        channels: channels of the images.
        resolution: 16, 32, 64, 128 or 256. Without z the map may have any multiple of resolution/4
            pixels a side.
        z_dim: length of z, 256 in the paper; 0 for none.
        ngf: channels of the last block.
        hidden: channels of each SPADE between map and modulation.

    Raises:
        ValueError: an argument is out of range, or the map or z has another shape, is missing or
            not wanted.
    """

    counted_from_end: ClassVar[tuple[str, ...]] = ("blocks",)
    """Lists whose last layers networks of other resolutions share."""

    def __init__(
        self,
        map_channels: int,
        channels: int = 3,
        *,
        resolution: int = 256,
        z_dim: int = 0,
        ngf: int = 64,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        check_choice("resolution", resolution, (16, 32, 64, 128, 256))
        check_at_least(1, map_channels=map_channels, channels=channels, ngf=ngf, hidden=hidden)
        check_at_least(0, z_dim=z_dim)
        self.map_channels, self.resolution, self.z_dim = map_channels, resolution, z_dim
        doublings = resolution.bit_length() - 3
        widths = [ngf * width for width in WIDTHS[-doublings - 1 :]]
        self.start: nn.Module
        if z_dim:
            self.start = nn.Linear(z_dim, 16 * widths[0])
        else:
            self.start = Conv2d(map_channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList(
            SPADEBlock(a, b, map_channels, hidden) for a, b in pairwise([widths[0], *widths])
        )
        self.out = Conv2d(widths[-1], channels, 3, padding=1, act="tanh")
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, segmentation: Tensor, z: Tensor | None = None) -> Tensor:
        planes = as_input(segmentation, "SPADE's map", self.map_channels, self.resolution // 4)
        height, width = (4 * size // self.resolution for size in planes.shape[2:])
        if not self.z_dim:
            if z is not None:
                raise ValueError(
                    f"z must be None for a SPADE generator without z, got {list(z.shape)}"
                )
            x = self.start(F.interpolate(planes, size=(height, width)))
        else:
            check_shape("z", z, self.z_dim, count=planes.shape[0])
            if (height, width) != (4, 4):
                size = f"{self.resolution}×{self.resolution}"
                raise ValueError(
                    f"the map of a SPADE generator with z must be {size}, "
                    f"got {planes.shape[2]}×{planes.shape[3]}; resize it"
                )
            x = self.start(z).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for i, block in enumerate(self.blocks):
            if i:
                # A scale factor would be a float in a graph with open sizes.
                x = F.interpolate(x, size=[2 * side for side in x.shape[2:]], mode="nearest")
            x = block(x, planes)
        images: Tensor = self.out(ops.bias_act(x, act="lrelu", gain=1))
        return images
