from __future__ import annotations

from torch import Tensor, nn

from fastgan.ops import minibatch_stddev
from fastgan.ops._checks import check_at_least


class MinibatchStddev(nn.Module):
    """Minibatch standard deviation without parameters, by :func:`fastgan.ops.minibatch_stddev`.

    Args:
        group_size, num_channels: as in :func:`fastgan.ops.minibatch_stddev`.

    Shape:
        ``[N, C, H, W]`` → ``[N, C + num_channels, H, W]``.

    Raises:
        ValueError: an argument is not a whole number of at least 1, or does not divide the batch or
            the channels.
    """

    def __init__(self, group_size: int = 4, num_channels: int = 1) -> None:
        super().__init__()
        check_at_least(1, group_size=group_size, num_channels=num_channels)
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: Tensor) -> Tensor:
        return minibatch_stddev(x, group_size=self.group_size, num_channels=self.num_channels)

    def extra_repr(self) -> str:
        return f"group_size={self.group_size}, num_channels={self.num_channels}"
