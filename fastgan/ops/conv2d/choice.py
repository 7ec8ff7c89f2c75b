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


#: The most pixels of a result for which our convolutions on AMX beat oneDNN's, which convert the
#: layout of the weights slowly. They are measured on one core of an Intel Xeon; see the README.
MOST_PIXELS, MOST_PIXELS_IN_GROUPS = 2048, 256
#: The fewest channels of a group that fill enough of a tile.
FEWEST_CHANNELS = 8


# Loading the libraries has registered it, in a build with these kernels.
_HAS_AMX = hasattr(torch.ops.fastgan_runtime, "amx_is_available") and bool(
    torch.ops.fastgan_runtime.amx_is_available()
)


def has_amx_kernels() -> bool:
    """Return True if this CPU, build and FASTGAN_CPU_LEVEL allow kernels on AMX."""
    return _HAS_AMX


def amx_suits(chosen: str, x: Tensor, weight: Tensor) -> bool:
    """Return True if a convolution runs on our ops since it may run on AMX."""
    if chosen != "cpu" or torch.float64 in (x.dtype, weight.dtype) or not has_amx_kernels():
        return False
    if x.shape[0] == 0:
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.dtype == weight.dtype == torch.bfloat16


def amx_is_faster(w: Tensor, groups: int, pixels: int) -> bool:
    """Return True if our kernel beats oneDNN's for a convolution or the gradient of its image.

    Args:
        w: the weights ``[O, C/groups, kh, kw]``.
        pixels: pixels of the convolution's results.
    """
    most = MOST_PIXELS if groups == 1 else MOST_PIXELS_IN_GROUPS
    return _runs_on_amx(w, w.shape[0] // groups, w.shape[1], groups) and pixels <= most


def amx_is_faster_for_weights(dy: Tensor, x: Tensor, groups: int, kernel: Sequence[int]) -> bool:
    """Return True if our kernel beats oneDNN's for the gradient of the weights."""
    channels = (dy.shape[1] // groups, x.shape[1] // groups)
    if not _runs_on_amx(dy, *channels, groups) or tuple(kernel) == (1, 1):
        return False
    pixels = dy.shape[0] * dy.shape[2] * dy.shape[3]
    return min(channels) >= FEWEST_CHANNELS or pixels <= MOST_PIXELS


def _runs_on_amx(t: Tensor, fan_out: int, fan_in: int, groups: int) -> bool:
    if t.dtype != torch.bfloat16 or t.device.type != "cpu" or not has_amx_kernels():
        return False
    return groups == 1 or min(fan_out, fan_in) >= FEWEST_CHANNELS
