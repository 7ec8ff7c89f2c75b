"""Sizes that G and D share, and their limits."""

from __future__ import annotations

RESOLUTIONS = tuple(2**i for i in range(3, 11))


def channels_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Return the feature maps at a resolution.

    They double each time the resolution halves, up to ``channel_max``.
    """
    return min(channel_base // resolution, channel_max)


def image_size(resolution: int, base: tuple[int, int]) -> tuple[int, int]:
    """Return (H, W) of the features at a resolution.

    The base grid (H, W) has resolution 4.
    """
    return base[0] * resolution // 4, base[1] * resolution // 4


def check_sizes(
    resolution: int,
    channels: int,
    channel_base: int,
    base: tuple[int, int],
    least: dict[str, tuple[int, int]],
) -> None:
    """Raise ValueError for a size that is out of range.

    ``least`` maps names of more arguments to their value and its minimum.
    """
    if resolution not in RESOLUTIONS:
        raise ValueError(f"resolution must be one of {RESOLUTIONS}, got {resolution!r}")
    if channels not in (1, 2, 3, 4):
        raise ValueError(f"channels must be 1, 2, 3 or 4, got {channels!r}")
    if len(base) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in base):
        raise ValueError(
            f"base must be two whole numbers of at least 1, (height, width), got {base!r}"
        )
    for name, (value, minimum) in {"channel_base": (channel_base, resolution), **least}.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def check_fp16(num_fp16_res: int, conv_clamp: float | None) -> None:
    """Raise ValueError for settings of mixed precision that are out of range."""
    if isinstance(num_fp16_res, bool) or not isinstance(num_fp16_res, int) or num_fp16_res < 0:
        raise ValueError(f"num_fp16_res must be a whole number of at least 0, got {num_fp16_res!r}")
    if conv_clamp is not None and not conv_clamp > 0:
        raise ValueError(f"conv_clamp must be None or a number above 0, got {conv_clamp!r}")
