"""Widths of the networks at each resolution.

32 is SNGAN's table for CIFAR-10 (Miyato et al. 2018, table 4). 128 is that for ImageNet (table 6),
also used by SAGAN and BigGAN, and 256 is BigGAN's (Brock et al. 2019, appendix B). 16 is the table
of 32 without a stage, 64 that of 128.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastgan.networks.checks import check_choice

G_WIDTHS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
"""Features of G at 4×4, 8×8, … up to the image's resolution, in units of ngf."""
D_WIDTHS = {
    16: (2, 2, 2, 2),
    32: (2, 2, 2, 2),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}
"""Features after each block of D, in units of ndf."""
D_HALVINGS = {16: 2, 32: 2, 64: 4, 128: 5, 256: 6}
"""Number of D's first blocks that halve the resolution."""

RESOLUTIONS = tuple(G_WIDTHS)


def scaled(table: dict[int, tuple[int, ...]], resolution: int, unit: int) -> list[int]:
    """Return a row of a table above, in channels.

    Raises:
        ValueError: ``resolution`` is not one of ``RESOLUTIONS``.
    """
    check_choice("resolution", resolution, tuple(table))
    return [unit * width for width in table[resolution]]


def attention_resolutions(resolution: int) -> list[int]:
    """Return the resolutions at which G and D both have features that attention can take.

    They lie below the image's resolution and above 4×4.
    """
    smallest = max(8, resolution >> D_HALVINGS[resolution])
    return [r for r in (8, 16, 32, 64, 128) if smallest <= r < resolution]


def attention_after(attention: int | None, resolutions: Sequence[int]) -> int | None:
    """Return the index of the first block with features of resolution ``attention``, or None.

    Raises:
        ValueError: there is no such block.
    """
    if attention is None:
        return None
    if attention not in resolutions[:-1]:
        choices = ", ".join(str(r) for r in sorted(set(resolutions[:-1])))
        raise ValueError(
            f"attention must be a resolution inside the network ({choices}), got {attention}"
        )
    return list(resolutions).index(attention)
