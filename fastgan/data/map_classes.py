"""Classes of semantic maps: checks, and the line that a run begins with."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor

from fastgan.data.dataset import DataError

SHOWN = 5  # classes that a line names
UNKNOWN = 255  # the usual value for pixels without a class


def check_map(indices: Tensor, path: str, *, classes: int, void: int | None) -> None:
    """Check that every value of a map is a class, or ``void``.

    Raises:
        DataError: a value that is neither; the message names the file, the value and what to do.
    """
    wrong = indices >= classes
    if void is not None:
        wrong &= indices != void
    if bool(wrong.any()):
        value = int(indices[wrong].max())
        else_ = "" if void is None else f", or {void} for no class"
        raise DataError(
            f"The map {path!r} has the value {value}, but there are {classes} classes, 0 to {classes - 1}{else_}: "
            f"mend the map, name the class in classes.txt, or train with --void {value} if it stands for unknown."
        )


def class_note(
    names: Sequence[str], occurring: Collection[int], examined: str, *, named: bool
) -> str:
    """Return one line about the classes taken and those that occur.

    Args:
        names: of all classes. occurring: indices of those that occur. examined: the maps looked at, in words.
        named: the names are a person's, not numbers.
    """
    present = [index for index in range(len(names)) if index in occurring]
    line = f"maps: {len(names)} {'class' if len(names) == 1 else 'classes'}, of which {len(present)} occur"
    line += f" in {examined}"
    if named:
        line += f": {_listed([names[index] for index in present])}"
        missing = [name for index, name in enumerate(names) if index not in occurring]
        if missing:
            line += f"; without {_listed(missing)}"
    elif UNKNOWN in occurring and len(present) <= len(names) // 2:
        line += f"; if {UNKNOWN} stands for unknown, give --void {UNKNOWN}"
    return line


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
