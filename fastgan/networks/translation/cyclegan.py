"""Generator of CycleGAN: residual blocks at a quarter of the size.

Zhu et al. 2017, appendix 7.2; Johnson et al. 2016.
"""

from __future__ import annotations

from torch import Tensor, nn

from fastgan.networks.checks import check_at_least
from fastgan.networks.translation.layers import (
    DownConv2d,
    ImageConv2d,
    ResidualBlock,
    UpConv2d,
    as_input,
    init_normal,
    norm_act,
)
from fastgan.nn import Conv2d


class CycleGANGenerator(nn.Module):
    """Map images ``[N, in_channels, H, W]`` in [-1, 1] to ``[N, out_channels, H, W]`` in [-1, 1].

    Layers are the paper's c7s1-64, d128, d256, R256 (nine times), u128, u64, c7s1-3, with ReLU
    after every norm and tanh at the end. Edges are reflected, except in the transposed
    convolutions. A convolution in front of a norm has no bias, which the norm would remove.

    Args:
        in_channels, out_channels: channels of input and output images.
        ngf: channels after the first layer.
        blocks: number of residual blocks, 0 or more; the paper has 9 from 256×256 on and 6 at
            128×128.
        norm: ``instance``, ``batch`` or ``none``.

    Raises:
        ValueError: an argument is out of range, or images have another shape, fewer than 8 pixels a
            side, or sides that are not multiples of 4.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        *,
        ngf: int = 64,
        blocks: int = 9,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        check_at_least(1, in_channels=in_channels, out_channels=out_channels, ngf=ngf)
        check_at_least(0, blocks=blocks)
        self.in_channels = in_channels
        self.layers = nn.Sequential(
            Conv2d(in_channels, ngf, 7, padding=3, bias=False, padding_mode="reflect"),
            norm_act(norm, ngf, "relu"),
            DownConv2d(ngf, 2 * ngf),
            norm_act(norm, 2 * ngf, "relu"),
            DownConv2d(2 * ngf, 4 * ngf),
            norm_act(norm, 4 * ngf, "relu"),
            *(ResidualBlock(4 * ngf, norm=norm) for _ in range(blocks)),
            UpConv2d(4 * ngf, 2 * ngf),
            norm_act(norm, 2 * ngf, "relu"),
            UpConv2d(2 * ngf, ngf),
            norm_act(norm, ngf, "relu"),
            ImageConv2d(ngf, out_channels, padding_mode="reflect"),
        )
        self.apply(init_normal)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layers(
            as_input(images, "CycleGAN's images", self.in_channels, 4, least=8)
        )
        return result
