"""Skip-layer excitation (Liu et al. 2021)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fastgan.nn.conv2d import Conv2d
from fastgan.ops._checks import check_at_least

# Height and width of the pooled features.
POOLED = 4


class SkipLayerExcitation(nn.Module):
    """Channels of large feature maps, weighted by those of small ones far below.

    Liu et al. 2021, section 3.1 and eq. 1: ``y = F(x_low) · x_high``, where F averages ``x_low``
    over 4×4 places. Then a 4×4 convolution, leaky ReLU, a 1×1 convolution and a sigmoid give a
    weight to each channel. The channels and sizes of both may differ, unlike those of a residual
    connection, and gradients reach ``x_low`` by a short way.

    Args:
        low_channels: channels of the small feature maps.
        high_channels: channels of the large ones.

    Shape:
        high ``[N, high_channels, H, W]`` and low ``[N, low_channels, h, w]``, with h and w
        multiples of 4 → as high.

    Raises:
        ValueError: an argument is out of range, or ``low`` has another shape.
    """

    def __init__(self, low_channels: int, high_channels: int) -> None:
        super().__init__()
        check_at_least(1, low_channels=low_channels, high_channels=high_channels)
        self.low_channels = low_channels
        self.pooled = Conv2d(low_channels, high_channels, POOLED, bias=False, act="lrelu")
        self.mixed = Conv2d(high_channels, high_channels, 1, bias=False)

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        return high * self.weights(low)

    def weights(self, low: Tensor) -> Tensor:
        """Return the weights of the channels, ``[N, high_channels, 1, 1]`` in [0, 1]."""
        fits = low.ndim == 4 and low.shape[1] == self.low_channels
        if not fits or low.shape[2] % POOLED or low.shape[3] % POOLED or 0 in low.shape[2:]:
            raise ValueError(
                f"low must have shape [N, {self.low_channels}, H, W] with H and W multiples of "
                f"{POOLED}, got {list(low.shape)}"
            )
        # An adaptive pooling has no deterministic gradient on a GPU.
        size = (low.shape[2] // POOLED, low.shape[3] // POOLED)
        x = low if size == (1, 1) else F.avg_pool2d(low, size)
        weights: Tensor = self.mixed(self.pooled(x)).sigmoid()
        return weights
