"""Which algorithm convolves: a table that was measured."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

#: From how many 4x4 tiles of output on Winograd's algorithm beats the CPU's direct one, by the lesser of the numbers
#: of channels that come in and go out. docs/internals/performance.md has the measured sweep that this is read from.
FEWEST_TILES = {32: 256, 64: 16, 128: 8, 256: 16, 512: 8}
MOST_CHANNELS = 4096  # for which transformed weights and images stay below 32 MB

#: From how many groups on our derivatives beat torch's, which in the second one convolve every group on its own: below, what
#: an op of ours takes besides its kernel is more than that.
FEWEST_GROUPS = 8

_enabled = True


def set_winograd(enabled: bool) -> None:
    """Allow (the default) or forbid Winograd's algorithm in the convolutions of ``fastgan`` on the CPU.

    It computes a 3x3 convolution in float32 with a quarter of the multiplications and about twice the rounding error of the
    direct algorithm.

    Args:
        enabled: False for the direct algorithm everywhere. ``backend="reference"`` does the same for one call.

    Raises:
        TypeError: ``enabled`` is not a bool.
    """
    global _enabled
    if not isinstance(enabled, bool):
        raise TypeError(f"enabled must be True or False, got {enabled!r}")
    _enabled = enabled


def winograd_suits(
    chosen: str, x: Tensor, weight: Tensor, out_channels: int, size: Sequence[int]
) -> bool:
    """Whether the 3x3 convolution of ``x`` runs by Winograd's algorithm, as far as that depends on sizes.

    Args:
        chosen: the backend.
        size: height and width that the 4x4 tiles cover: those of the result, or of the image that is upsampled.
    """
    if not _enabled or chosen != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32:
        return False
    if torch.is_autocast_enabled("cpu"):  # a convolution is cast to half types there
        return False
    fewer, more = sorted((x.shape[1], out_channels))
    needed = [tiles for channels, tiles in FEWEST_TILES.items() if fewer >= channels]
    if not needed or more > MOST_CHANNELS:
        return False
    return bool(x.shape[0] * ((size[0] + 3) // 4) * ((size[1] + 3) // 4) >= needed[-1])


def groups_suit(chosen: str, x: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether a convolution in groups runs on ops of ours: where a gradient may be asked for."""
    wanted = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return groups >= FEWEST_GROUPS and chosen != "reference" and wanted
