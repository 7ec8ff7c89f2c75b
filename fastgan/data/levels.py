"""Values of picture files with more than 8 bits: their range and their conversion to 8 bits."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fastgan.data._optional import require
from fastgan.data.dataset import DataError
from fastgan.data.inputs import Kind, Levels

NOUNS: dict[Kind, str] = {
    "grey": "grey {} of more than 8 bits",
    "colour": "{} of 16 bits a channel",
    "float": "floating-point {}",
}
FULL = (0.0, 65535.0)
"""Range of 16-bit integers."""
# Bits of sensors whose values are stored in 16 bits.
_BITS = (8, 10, 12, 14)
_UNITS = ((0.0, 1.0), (-1.0, 1.0))
# Share of a float range that values may exceed it by, since filters overshoot.
_SLACK = 0.01
_BYTES, _BRIGHT = 255.0, 128.0
_NATIVE = "L" if sys.byteorder == "little" else "B"


class Span(NamedTuple):
    """Range of the values of one or several files of one kind."""

    kind: Kind
    """Kind of the files."""
    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    files: int = 1
    """Number of files."""


def parse_range(text: str) -> tuple[float, float] | None:
    """Return the two values of ``"LOW:HIGH"``, None for ``"auto"``.

    Raises:
        DataError: ``text`` is neither, or ``LOW`` isn't below ``HIGH``.
    """
    if text == "auto":
        return None
    parts = text.split(":")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise DataError(
            f"range must be auto or LOW:HIGH, two numbers of which the first is smaller, "
            f"such as 0:4095, got {text!r}."
        )
    return low, high


def kind_of(picture: Any) -> Kind | None:
    """Return the kind of an open Pillow picture, None for 8 bits, without decoding it."""
    if picture.mode.startswith("I"):
        return "grey"
    if picture.mode == "F":
        return "float"
    deep = picture.mode in ("RGB", "RGBA", "LA") and _swapped(_raw_mode(picture)) is not None
    return "colour" if deep else None


def span_of(source: Path | BinaryIO, *, ignore: Collection[Kind] = ()) -> Span | None:
    """Return the range of a file's finite values, None for a file of 8 bits.

    Args:
        source: the file.
        ignore: kinds of files to return None for.

    Raises:
        ValueError: the file has no finite value.
        Exception: Pillow can't decode the file; decoders raise errors of nearly any type.
    """
    with _opened(source) as picture:
        kind = kind_of(picture)
        if kind is None or kind in ignore:
            return None
        values = np.asarray(picture) if kind != "colour" else None
    if values is None:
        values = _colour(source)
        # Keep 1 or 3 channels, so drop alpha.
        values = values[..., : (values.shape[2] - 1) | 1]
    if kind == "float":
        values = _finite(values)
    return Span(kind, float(values.min()), float(values.max()))


def joined(spans: Iterable[Span | None]) -> list[Span]:
    """Merge spans of the same kind; ignore None."""
    by_kind: dict[Kind, Span] = {}
    for span in filter(None, spans):
        previous = by_kind.get(span.kind)
        if previous is not None:
            low, high = min(previous.low, span.low), max(previous.high, span.high)
            span = Span(span.kind, low, high, previous.files + span.files)
        by_kind[span.kind] = span
    return list(by_kind.values())


def levels_for(span: Span) -> tuple[float, float]:
    """Choose the values that become black and white from the values that occur."""
    low, high = span.low, span.high
    if span.kind == "float":
        for bottom, top in _UNITS:
            slack = _SLACK * (top - bottom)
            if bottom - slack <= low and high <= top + slack:
                return bottom, top
        if low >= 0 and _BRIGHT <= high <= _BYTES:
            return 0.0, _BYTES
    elif low >= 0 and high <= FULL[1]:
        bits = next((bits for bits in _BITS if 0 < high < 1 << bits), 16)
        return 0.0, float((1 << bits) - 1)
    return low, max(high, low + 1)


def unusual(levels: Levels) -> str:
    """Return the levels as text for a fingerprint; empty if they span all 16 bits."""
    return ", ".join(f"{kind} {low}:{high}" for kind, low, high in levels if (low, high) != FULL)


def levels_note(span: Span, where: str = "") -> str:
    """Return one line on the values that occur and those that become black and white.

    Args:
        span: values that occur.
        where: phrase for the files if they aren't the whole set, such as " of images/".
    """
    low, high = levels_for(span)
    noun = NOUNS[span.kind].format("picture" if span.files == 1 else "pictures")
    line = f"values: {_spelt(span.low)} to {_spelt(span.high)} in {span.files:,} {noun}{where}"
    line += f", taken as {_spelt(low)}:{_spelt(high)}"
    if span.kind != "float" and low == 0 and high + 1 in {1 << bits for bits in _BITS}:
        line += f" ({int(high + 1).bit_length() - 1} bits); `range` 0:65535 takes all 16"
    elif (low, high) != FULL:
        line += "; `range` LOW:HIGH takes another range"
    return line


def limits(levels: Levels, kind: Kind) -> tuple[float, float]:
    """Return the values of ``kind`` that become black and white.

    Without an entry in ``levels`` these are the ends of 16 bits, or of 8 bits for floats.
    """
    default = (0.0, _BYTES) if kind == "float" else FULL
    return next(((low, high) for name, low, high in levels if name == kind), default)


def eight_bits(source: Path | BinaryIO, levels: Levels) -> Any:
    """Decode the first frame of a file to 8 bits a channel and apply its EXIF orientation.

    Args:
        source: the file.
        levels: values that become black and white, by kind of file.

    Returns:
        A Pillow picture.

    Raises:
        ValueError: the file has no finite value.
        Exception: Pillow can't decode the file; decoders raise errors of nearly any type.
    """
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    ops = require("PIL.ImageOps", "pillow", purpose="Reading image files")
    with _opened(source) as opened:
        kind = kind_of(opened)
        span = FULL if kind is None else limits(levels, kind)
        # Pillow keeps the upper 8 bits of 16, which is right for the full range.
        if kind is None or (kind == "colour" and span == FULL):
            picture = ops.exif_transpose(opened)
            picture.load()
            return picture
        if kind != "colour":
            values = np.asarray(ops.exif_transpose(opened))
            if kind == "float":
                _finite(values)
            return pil.fromarray(_scaled(values, *span))
        values = _colour(source)
    # The last of an even number of channels is alpha.
    if values.shape[2] % 2 == 0:
        alpha = values[..., -1]
        opaque = span if alpha.max() <= span[1] else FULL
        parts = [_scaled(values[..., :-1], *span), _scaled(alpha, *opaque)[..., None]]
        return pil.fromarray(np.concatenate(parts, axis=2))
    return pil.fromarray(_scaled(values, *span))


def _finite(values: Any) -> Any:
    """Return the finite values, flat. Raises ValueError if there are none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("it has no finite value")
    return finite


def _scaled(values: Any, low: float, high: float) -> Any:
    exact = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.floor((exact - low) * 255 / (high - low) + 0.5).clip(0, 255).astype(np.uint8)


def _spelt(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.6g}"


# -- 16 bits a channel: Pillow decodes only the upper 8 ----------------------------------------


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Any]:
    pil = require("PIL.Image", "pillow", purpose="Reading image files")
    if not isinstance(source, Path):
        source.seek(0)
    with pil.open(source) as picture:
        yield picture


def _raw_mode(picture: Any) -> str:
    """Return Pillow's name for the layout of the file's values, "" if it isn't known."""
    tiles = getattr(picture, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return (
        arguments
        if isinstance(arguments, str)
        else next((a for a in arguments or () if isinstance(a, str)), "")
    )


def _swapped(raw_mode: str) -> str | None:
    """Return the layout with the two bytes of each value exchanged, None if there is none."""
    if raw_mode == "LA;16B":
        return "RGBA"
    channels, _, order = raw_mode.partition(";16")
    if channels not in ("RGB", "RGBA") or order not in ("B", "L", "N"):
        return None
    return f"{channels};16{'L' if (_NATIVE if order == 'N' else order) == 'B' else 'B'}"


def _colour(source: Path | BinaryIO) -> Any:
    """Return the values of a picture of 16 bits a channel, uint16 ``[H, W, C]``."""
    with _opened(source) as picture:
        swapped = _swapped(_raw_mode(picture))
        assert swapped is not None
        # Grey and alpha have four bytes a pixel.
        if swapped == "RGBA":
            high, low = np.split(_decoded(source, "RGBA", "RGBA")[..., [0, 2, 1, 3]], 2, axis=2)
        else:
            high, low = _decoded(source), _decoded(source, swapped)
    return high.astype(np.uint16) << 8 | low


def _decoded(source: Path | BinaryIO, raw_mode: str | None = None, mode: str | None = None) -> Any:
    ops = require("PIL.ImageOps", "pillow", purpose="Reading image files")
    with _opened(source) as picture:
        if mode is not None:
            picture._mode = mode
        if raw_mode is not None:
            picture.tile = [_with_raw_mode(tile, raw_mode) for tile in picture.tile]
        return np.asarray(ops.exif_transpose(picture))


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    codec, box, offset, arguments = tile
    changed: Any = raw_mode
    if not isinstance(arguments, str):
        first = next(i for i, argument in enumerate(arguments) if isinstance(argument, str))
        changed = (*arguments[:first], raw_mode, *arguments[first + 1 :])
    return (
        type(tile)(codec, box, offset, changed)
        if type(tile) is not tuple
        else (codec, box, offset, changed)
    )
