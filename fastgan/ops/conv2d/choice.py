"""The choice of a convolution's algorithm, by measured sizes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: The least number of 4x4 tiles of output for which Winograd's algorithm beats the direct one, by
#: the lesser of the input and output channels. It is read from the measured sweep in
#: docs/internals/performance.md.
FEWEST_TILES = {32: 256, 64: 16, 128: 8, 256: 16, 512: 8}
#: Channels for which transformed weights and images stay below 32 MB.
MOST_CHANNELS = 4096

#: The least number of groups for which our derivatives beat torch's, whose second one convolves
#: every group on its own. For fewer groups, the overhead of our ops is larger.
FEWEST_GROUPS = 8

_enabled = True


def set_winograd(enabled: bool) -> None:
    """Allow (the default) or forbid Winograd's algorithm in convolutions on the CPU.

    It computes a 3x3 convolution in float32 with a quarter of the multiplications of the direct
    algorithm, and about twice its rounding error.

    Args:
        enabled: False for the direct algorithm everywhere. ``backend="reference"`` does the same
            for one call.

    Raises:
        TypeError: ``enabled`` isn't a bool.
    """
    global _enabled
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be True or False, got {enabled!r}")
    _enabled = enabled


def winograd_suits(
    chosen: str, x: Tensor, weight: Tensor, out_channels: int, size: Sequence[int]
) -> bool:
    """Return True if Winograd's algorithm suits a 3x3 convolution of this size.

    Args:
        chosen: the backend.
        size: height and width that the 4x4 tiles cover, those of the result or of the image that is
            upsampled.
    """
    if not _enabled or chosen != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32:
        return False
    # Autocast casts convolutions to half types.
    if torch.is_autocast_enabled("cpu"):
        return False
    fewer, more = sorted((x.shape[1], out_channels))
    needed = None
    for channels, tiles in FEWEST_TILES.items():
        needed = tiles if fewer >= channels else needed
    if needed is None or more > MOST_CHANNELS:
        return False
    return bool(x.shape[0] * ((size[0] + 3) // 4) * ((size[1] + 3) // 4) >= needed)


def groups_suit(chosen: str, x: Tensor, weight: Tensor, groups: int) -> bool:
    """Return True if a grouped convolution runs on our ops, which pays if it needs a gradient."""
    if groups < FEWEST_GROUPS:
        return False
    wanted = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return chosen != "reference" and wanted
