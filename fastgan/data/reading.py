"""Settings by which picture files become square images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from fastgan.data.dataset import DataError
from fastgan.data.inputs import Kind, Levels
from fastgan.data.levels import NOUNS, Span, joined, levels_for, levels_note, parse_range, span_of

Fit = Literal["crop", "pad", "stretch"]
"""Way to make a picture square.

- ``crop``: cut out the largest centred square.
- ``pad``: put the whole picture on a black square.
- ``stretch``: change its proportions.
"""
FITS: tuple[Fit, ...] = get_args(Fit)
"""All ways to make a picture square."""
MAX_INDEX = 255
"""Largest value of a map's pixel."""
NOTICEABLE = 0.05
"""Share of a picture's area from which cropping is noted for the user."""


@dataclass(frozen=True)
class Reading:
    """Settings for reading picture files.

    Attributes:
        fit: way to make a picture square (see ``Fit``).
        void: value of a map's pixels without a class, 0 to 255; None if every value is a class.
        range: ``"LOW:HIGH"``, the values that become black and white in files of more than 8 bits.
            ``"auto"`` chooses them by the values that occur (see ``levels_for``).
        levels: levels that ``"auto"`` chose earlier for images; missing kinds are examined anew.
        input_levels: levels that ``"auto"`` chose earlier for inputs.

    Raises:
        DataError: ``fit`` is unknown, ``void`` is outside 0 to 255, or ``range`` isn't a range.
    """

    fit: Fit = "crop"
    void: int | None = None
    range: str = "auto"
    levels: Levels = ()
    input_levels: Levels = ()

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise DataError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}.")
        if self.void is not None and (
            isinstance(self.void, bool)
            or not isinstance(self.void, int)
            or not 0 <= self.void <= MAX_INDEX
        ):
            raise DataError(
                f"void must be a whole number from 0 to {MAX_INDEX}, got {self.void!r}."
            )

        parse_range(self.range)

    def known(self, part: int = 0) -> Levels:
        """Return the levels that are known without reading files.

        Args:
            part: 0 for images, 1 for their inputs.
        """
        limits = parse_range(self.range)
        if limits is not None:
            return tuple((kind, *limits) for kind in NOUNS)
        return self.input_levels if part else self.levels

    @property
    def identity(self) -> str:
        """Text for a fingerprint; empty for the defaults."""
        parts = [
            f"fit {self.fit}" if self.fit != "crop" else "",
            f"void {self.void}" if self.void is not None else "",
        ]
        return ", ".join(filter(None, parts))


class Box(NamedTuple):
    """Position and size of a picture inside a padded square, in pixels."""

    left: int
    """Columns left of the picture."""
    top: int
    """Rows above the picture."""
    width: int
    """Width of the picture."""
    height: int
    """Height of the picture."""


def padded_box(width: int, height: int, resolution: int) -> Box:
    """Fit a ``width`` by ``height`` picture into a square of side ``resolution``, centred."""
    longer = max(width, height)
    inner_width = max(1, round(width * resolution / longer))
    inner_height = max(1, round(height * resolution / longer))
    return Box(
        (resolution - inner_width) // 2, (resolution - inner_height) // 2, inner_width, inner_height
    )


def crop_note(sizes: Iterable[tuple[int, int]]) -> str:
    """Return one line on the share that ``crop`` cuts off pictures of these sizes.

    Args:
        sizes: widths and heights.

    Returns:
        The line, empty if no share is noticeable.
    """
    shares = [1 - min(size) / max(size) for size in sizes]
    cut = [share for share in shares if share >= NOTICEABLE]
    if not cut:
        return ""
    pictures = "1 picture" if len(cut) == 1 else f"each of {len(cut):,} pictures"
    rest = f", of {len(shares):,}" if len(cut) < len(shares) else ""
    share = f"{sum(cut) / len(cut):.0%}"
    return f"cropped: on average {share} of {pictures}{rest}; `fit` pad or stretch keeps all"


def levels_of(
    paths: Sequence[Path], reading: Reading, *, part: int = 0
) -> tuple[Levels, list[str]]:
    """Return the levels of files, and lines on those that were chosen by their values.

    Files that can't be decoded are ignored.

    Args:
        paths: the files.
        reading: settings for reading them.
        part: 0 for files read like the run's images, 1 for files read like their inputs.
    """
    known = {level[0]: level for level in reading.known(part)}
    spans = joined(_span_or_none(path, tuple(known)) for path in paths)
    notes = [levels_note(span) for span in spans]
    known |= {span.kind: (span.kind, *levels_for(span)) for span in spans}
    return tuple(known.values()), notes


def _span_or_none(path: Path, ignore: tuple[Kind, ...]) -> Span | None:
    try:
        return span_of(path, ignore=ignore)
    except DataError:
        raise
    # Decoders raise nearly anything on broken files.
    except Exception:
        return None
