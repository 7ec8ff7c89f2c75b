from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from fastgan import ops
from fastgan.nn.resample import Filters, Taps
from fastgan.ops._checks import as_dtype, check_at_least


class FilteredLReLU(Filters):
    """Learned bias and alias-free leaky ReLU, by :func:`fastgan.ops.filtered_lrelu`.

    The activation is applied at ``up`` times the sampling rate, between two low-pass filters
    (Karras et al. 2021). The filters are settings rather than weights: they are not in the state
    dict, and stay float32 under ``.half()``.

    Args:
        num_channels: channels of the input; None for no bias. The bias starts at zero.
        up_filter, down_filter: taps ``[taps]`` for both axes or ``[taps_y, taps_x]``, as they are;
            :func:`fastgan.ops.design_lowpass` makes them. None for no filter.
        up, down, padding, gain, slope, clamp: as in :func:`fastgan.ops.filtered_lrelu`.

    Shape:
        ``[N, num_channels, H, W]`` → ``[N, num_channels, H', W']``, in the dtype of the input;
        the op's docstring has the sizes. The bias is cast to that dtype.

    Raises:
        ValueError: an argument is out of range.
    """

    constant_buffers: ClassVar[tuple[str, ...]] = ("up_filter", "down_filter")
    bias: nn.Parameter | None
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self,
        num_channels: int | None,
        *,
        up_filter: Taps | None = None,
        down_filter: Taps | None = None,
        up: int = 1,
        down: int = 1,
        padding: int | Sequence[int] = 0,
        gain: float = math.sqrt(2),
        slope: float = 0.2,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        if num_channels is not None:
            check_at_least(1, num_channels=num_channels)
        check_at_least(1, up=up, down=down)
        self.up, self.down, self.padding = up, down, padding
        self.gain, self.slope, self.clamp = gain, slope, clamp
        bias = None if num_channels is None else nn.Parameter(torch.zeros(num_channels))
        self.register_parameter("bias", bias)
        for name, taps in (("up_filter", up_filter), ("down_filter", down_filter)):
            self.register_buffer(name, ops.setup_filter(taps, normalize=False), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return ops.filtered_lrelu(
            x,
            self.up_filter,
            self.down_filter,
            None if self.bias is None else as_dtype(self.bias, x.dtype),
            up=self.up,
            down=self.down,
            padding=self.padding,
            gain=self.gain,
            slope=self.slope,
            clamp=self.clamp,
        )

    def extra_repr(self) -> str:
        channels = None if self.bias is None else self.bias.numel()
        shapes = [None if f is None else list(f.shape) for f in (self.up_filter, self.down_filter)]
        return (
            f"{channels}, up={self.up}, down={self.down}, up_filter={shapes[0]}, "
            f"down_filter={shapes[1]}, padding={self.padding}, clamp={self.clamp}"
        )
