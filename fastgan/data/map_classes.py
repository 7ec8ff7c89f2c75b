"""Checks of the classes of semantic maps, and the note on them for the user."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor

from fastgan.data.dataset import DataError

SHOWN = 5
"""Number of classes that a note names."""
UNKNOWN = 255
"""Usual value of pixels without a class."""


def check_map(indices: Tensor, path: str, *, classes: int, void: int | None) -> None:
    """Check that every value of a map is a class or ``void``.

    Args:
        indices: integers of any shape.
        path: file of the map, for the message.
        classes: number of classes.
        void: value of pixels without a class, None if every pixel has a class.

    Raises:
        DataError: a value is neither; the message names the file, the value and what to do.
    """
    wrong = indices >= classes
    if void is not None:
        wrong &= indices != void
    if bool(wrong.any()):
        value = int(indices[wrong].max())
        else_ = "" if void is None else f", or {void} for no class"
        raise DataError(
            f"The map {path!r} has the value {value}, but there are {classes} classes, "
            f"0 to {classes - 1}{else_}: correct the map, name the class in classes.txt, or train "
            f"with `void` {value} if it stands for unknown."
        )


def class_note(
    names: Sequence[str], occurring: Collection[int], examined: str, *, named: bool
) -> str:
    """Return one line on the classes of a data set and those that occur.

    Args:
        names: names of all classes.
        occurring: indices of the classes that occur.
        examined: phrase for the maps that were read, such as "the maps".
        named: True if the user named the classes, False if the names are numbers.
    """
    present = [index for index in range(len(names)) if index in occurring]
    noun = "class" if len(names) == 1 else "classes"
    line = f"maps: {len(names)} {noun}, of which {len(present)} occur in {examined}"
    if named:
        line += f": {_listed([names[index] for index in present])}"
        missing = [name for index, name in enumerate(names) if index not in occurring]
        if missing:
            line += f"; without {_listed(missing)}"
    elif UNKNOWN in occurring and len(present) <= len(names) // 2:
        line += f"; if {UNKNOWN} stands for unknown, set void to {UNKNOWN}"
    return line


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
