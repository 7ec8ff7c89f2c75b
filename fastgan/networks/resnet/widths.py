"""How wide the networks are at each resolution.

32 is SNGAN's table for CIFAR-10 (Miyato et al. 2018, table 4), 128 the one for ImageNet (table 6), which SAGAN and BigGAN
keep, and 256 is BigGAN's (Brock et al. 2019, appendix B). 16 is the table of 32 with one stage less, 64 that of 128.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Features of G at 4×4, 8×8, … up to the image's resolution, in units of ngf.
G_WIDTHS = {
    16: (4, 4, 4),
    32: (4, 4, 4, 4),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
#: Features behind each block of D, in units of ndf.
D_WIDTHS = {
    16: (2, 2, 2, 2),
    32: (2, 2, 2, 2),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}
#: How many of D's blocks, the first ones, halve the resolution.
D_HALVINGS = {16: 2, 32: 2, 64: 4, 128: 5, 256: 6}

RESOLUTIONS = tuple(G_WIDTHS)


def scaled(table: dict[int, tuple[int, ...]], resolution: int, unit: int) -> list[int]:
    """A line of a table above, in channels.

    Raises:
        ValueError: ``resolution`` isn't one of ``RESOLUTIONS``, or ``unit`` less than 1.
    """
    if resolution not in table:
        raise ValueError(
            f"resolution must be one of {', '.join(map(str, table))}, got {resolution}"
        )
    if unit < 1:
        raise ValueError(f"ngf and ndf must be at least 1, got {unit}")
    return [unit * width for width in table[resolution]]


def attention_resolutions(resolution: int) -> list[int]:
    """Where G and D both have features that attention can work on: below the image's resolution and above 4×4."""
    smallest = max(8, resolution >> D_HALVINGS[resolution])
    return [r for r in (8, 16, 32, 64, 128) if smallest <= r < resolution]


def attention_after(attention: int | None, resolutions: Sequence[int]) -> int | None:
    """The first block whose features have the resolution ``attention``; None for None.

    Raises:
        ValueError: there is none.
    """
    if attention is None:
        return None
    if attention not in resolutions[:-1]:
        choices = ", ".join(str(r) for r in sorted(set(resolutions[:-1])))
        raise ValueError(
            f"attention must be a resolution inside the network ({choices}), got {attention}"
        )
    return list(resolutions).index(attention)
