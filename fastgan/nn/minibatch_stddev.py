from __future__ import annotations

import torch
from torch import Tensor, nn


def minibatch_stddev(x: Tensor, group_size: int = 4) -> Tensor:
    """Appends one channel that tells how much the samples of a group differ (Karras et al. 2018, section 3).

    The standard deviation over the group, of each feature at each place, averaged over features and places. Group ``i`` of
    ``M = N / group_size`` holds the samples ``i, i + M, i + 2M, …``.

    Args:
        x: ``[N, C, H, W]``.
        group_size: samples per group; a batch with fewer is one group.

    Returns:
        ``[N, C + 1, H, W]``.

    Raises:
        ValueError: the batch cannot be cut into groups of this size.
    """
    n, c, h, w = x.shape
    group = min(group_size, n)
    if group < 1 or n % group:
        raise ValueError(
            f"the batch must have up to {group_size} samples or a multiple of {group_size}, got {n}; use another batch "
            "size or group_size"
        )
    stddev = (x.reshape(group, n // group, c, h, w).var(0, correction=0) + 1e-8).sqrt()
    feature = stddev.mean((1, 2, 3)).repeat(group)  # [N]
    return torch.cat([x, feature[:, None, None, None].expand(n, 1, h, w)], 1)


class MinibatchStddev(nn.Module):
    """:func:`minibatch_stddev` as a layer; it has no parameters.

    Args:
        group_size: as in :func:`minibatch_stddev`.

    Shape:
        ``[N, C, H, W]`` → ``[N, C + 1, H, W]``.

    Raises:
        ValueError: ``group_size`` isn't a whole number of at least 1; a batch that groups don't divide.
    """

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        if isinstance(group_size, bool) or not isinstance(group_size, int) or group_size < 1:
            raise ValueError(f"group_size must be a whole number of at least 1, got {group_size!r}")
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        return minibatch_stddev(x, self.group_size)

    def extra_repr(self) -> str:
        return f"group_size={self.group_size}"
