"""Settings by which picture files become square images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from fastgan.data.dataset import DataError

Fit = Literal["crop", "pad", "stretch"]
"""``crop``: cut the largest centred square out. ``pad``: keep the whole picture, on a black square. ``stretch``: change
its proportions."""
FITS: tuple[Fit, ...] = get_args(Fit)
MAX_INDEX = 255  # of a map's pixel
NOTICEABLE = 0.05  # of a picture's area


@dataclass(frozen=True)
class Reading:
    """Settings for reading picture files.

    Attributes:
        fit: how a picture becomes a square (see ``Fit``).
        void: value of a map's pixels that are of no class, 0 to 255; None if every value is a class.

    Raises:
        DataError: an unknown ``fit``, a ``void`` outside 0 to 255.
    """

    fit: Fit = "crop"
    void: int | None = None

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise DataError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}.")
        if self.void is not None and (
            isinstance(self.void, bool) or not isinstance(self.void, int) or not 0 <= self.void <= MAX_INDEX
        ):
            raise DataError(f"void must be a whole number from 0 to {MAX_INDEX}, got {self.void!r}.")

    @property
    def identity(self) -> str:
        """Text for a fingerprint; empty for the defaults."""
        parts = [
            f"fit {self.fit}" if self.fit != "crop" else "",
            f"void {self.void}" if self.void is not None else "",
        ]
        return ", ".join(filter(None, parts))


class Box(NamedTuple):
    """Place of a picture inside a padded square, in pixels."""

    left: int
    top: int
    width: int
    height: int


def padded_box(width: int, height: int, resolution: int) -> Box:
    """Return the place of a ``width`` by ``height`` picture in a square whose side is ``resolution``."""
    longer = max(width, height)
    inner_width = max(1, round(width * resolution / longer))
    inner_height = max(1, round(height * resolution / longer))
    return Box((resolution - inner_width) // 2, (resolution - inner_height) // 2, inner_width, inner_height)


def crop_note(sizes: Iterable[tuple[int, int]]) -> str:
    """Return one line about the share that ``crop`` cuts off pictures of these sizes; empty if it is small."""
    shares = [1 - min(size) / max(size) for size in sizes]
    cut = [share for share in shares if share >= NOTICEABLE]
    if not cut:
        return ""
    pictures = "1 picture" if len(cut) == 1 else f"each of {len(cut):,} pictures"
    rest = f", of {len(shares):,}" if len(cut) < len(shares) else ""
    return (
        f"cropped: on average {sum(cut) / len(cut):.0%} of {pictures}{rest}; --fit pad or stretch keeps all"
    )
