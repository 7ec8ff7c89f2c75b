"""Sizes that G and D share, and their limits."""

from __future__ import annotations

from fastgan.networks.checks import check_at_least, check_choice

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
    resolution: int, channels: int, channel_base: int, channel_max: int, base: tuple[int, int]
) -> None:
    """Raise ValueError for a size that is out of range."""
    check_choice("resolution", resolution, RESOLUTIONS)
    check_choice("channels", channels, (1, 2, 3, 4))
    if len(base) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in base):
        raise ValueError(
            f"base must be two whole numbers of at least 1, (height, width), got {base!r}"
        )
    check_at_least(resolution, channel_base=channel_base)
    check_at_least(1, channel_max=channel_max)


def check_half(half_resolutions: int, conv_clamp: float | None) -> None:
    """Raise ValueError for settings of mixed precision that are out of range."""
    check_at_least(0, half_resolutions=half_resolutions)
    if conv_clamp is not None and not conv_clamp > 0:
        raise ValueError(f"conv_clamp must be None or a number above 0, got {conv_clamp!r}")
