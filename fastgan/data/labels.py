"""Class labels of pictures: from folders, or from the ``dataset.json`` of a StyleGAN data set."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from fastgan.data.dataset import DataError
from fastgan.data.discovery import Listing, few
from fastgan.data.listed_names import ListedNames

LABELS_FILE = "dataset.json"
MAX_CLASSES = 1 << 16
_INTEGER = re.compile(r"[+-]?[0-9]+")


class Labels(NamedTuple):
    """Classes of a set's pictures.

    Attributes:
        class_names: one per class, in the order of their numbers; empty without labels.
        numbers: int64 ``[N]``, 0 without labels.
        missing: why there are no labels where a person may expect some, a clause that names the file.
        stated: whether a file states them, so that they aren't part of the pictures' names.
        notes: lines for a person on how they were found.
    """

    class_names: tuple[str, ...]
    numbers: Tensor
    missing: str = ""
    stated: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def none(cls, count: int, missing: str = "") -> Labels:
        """No labels for ``count`` pictures."""
        return cls((), torch.zeros(count, dtype=torch.int64), missing)


class Source(Protocol):
    """Files of a set: those of a folder or an archive."""

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def text(self, name: str) -> bytes | None:
        """Content of a file, None if there is none."""


def find_labels(source: Source, listing: Listing, names: Sequence[str]) -> Labels:
    """Classes of the pictures ``names``: as ``dataset.json`` states them, else by their folders.

    Raises:
        DataError: the file can't be read as JSON.
    """
    notes = []
    if (text := source.text(LABELS_FILE)) is not None:
        stated = stated_labels(text, names, (*listing.pictures, *listing.others))
        if stated is not None:
            return stated
        notes.append(f"{LABELS_FILE} has no labels and isn't read: the folders are the classes.")
    if nested := [
        f"{f}/{LABELS_FILE}" for f in listing.folders if source.has(f"{f}/{LABELS_FILE}")
    ]:
        notes.append(f"{few(nested)} isn't read: give its folder to have its labels.")
    found = folder_labels(names)
    taken = {name.split("/", 1)[0] for name in (*names, *listing.runs)}
    empty = [folder for folder in listing.folders if folder not in taken]
    if empty and found.class_names:
        notes.append(f"Not a class, since no picture in it can be read: {few(empty)}.")
    return found._replace(notes=tuple(notes))


def folder_labels(names: Sequence[str]) -> Labels:
    """Classes from first-level folders; none where a picture lies beside the folders."""
    loose = [name for name in names if "/" not in name]
    folders = {name.split("/", 1)[0] for name in names if "/" in name}
    if loose or not folders:
        beside = (
            f"{_files(loose)} beside the {_noun('folder', folders)} {few(order_classes(folders))}"
        )
        return Labels.none(len(names), f"{beside}, not in one of them" if folders else "")
    class_names = order_classes(folders)
    index = {name: number for number, name in enumerate(class_names)}
    return Labels(class_names, torch.tensor([index[name.split("/", 1)[0]] for name in names]))


def order_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Class names in the order of their numbers: by value if all are integers, else by code point."""
    found = sorted(names)
    if all(map(_INTEGER.fullmatch, found)):
        found.sort(key=int)
    return tuple(found)


def class_number(asked: str, class_names: Sequence[str], num_classes: int) -> int:
    """The number of the class that ``asked`` names.

    A name takes precedence over a number. Numbers count from 0; they aren't taken where the names are
    integers themselves.

    Args:
        asked: a name or a number.
        class_names: names in the order of the numbers; empty where none are known.
        num_classes: number of classes.

    Raises:
        DataError: there is no such class; the message suggests the nearest one and lists what there is.
    """
    if asked in class_names:
        return class_names.index(asked)
    numbered = not class_names or not all(map(_INTEGER.fullmatch, class_names))
    if numbered and _INTEGER.fullmatch(asked) and 0 <= int(asked) < num_classes:
        return int(asked)
    numbers = f"0 to {num_classes - 1}" if num_classes > 1 else "0"
    if not class_names:
        raise DataError(f"The class must be a number, {numbers}, got {asked!r}.")
    folded = {name.casefold(): name for name in reversed(class_names)}
    near = difflib.get_close_matches(asked.casefold(), folded, n=1, cutoff=0.4)
    hint = f"Did you mean {folded[near[0]]!r}? " if near else ""
    known = few(class_names, 20) + (f", or a number, {numbers}" if numbered else "")
    raise DataError(f"There is no class {asked!r}. {hint}The classes are {known}.")


def stated_labels(text: bytes, names: Sequence[str], present: Iterable[str]) -> Labels | None:
    """Classes as a StyleGAN data set states them; None for a file that is something else.

    The file is ``{"labels": [[name, label], ...]}``, or has null for the labels. A label is a class
    number or a one-hot vector.

    Args:
        text: content of the file.
        names: pictures in the set.
        present: files that lie beside them, pictures or not.

    Returns:
        Labels without classes, which say why, where the file states none that can be used.

    Raises:
        DataError: the content isn't JSON.
    """
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"The file {LABELS_FILE} beside the images must be JSON, but can't be read ({error}): "
            f"mend it, or take it away to have folders as classes."
        ) from error
    if not isinstance(content, dict) or "labels" not in content:
        return None
    if content["labels"] is None:
        return Labels.none(len(names), f"{LABELS_FILE} says null for the labels")
    try:
        given = _by_name(content["labels"], ListedNames((*present, *names)))
        if unlabelled := [name for name in names if given.get(name) is None]:
            raise _UnusableError(f"{LABELS_FILE} has no label for {few(unlabelled)}")
        values, count = _numbers(given)
    except _UnusableError as error:
        return Labels.none(len(names), str(error))
    class_names = tuple(map(str, range(count)))
    numbers = torch.tensor([values[name] for name in names])
    used = set(numbers.tolist())
    unused = [name for number, name in enumerate(class_names) if number not in used]
    notes = (f"Classes of {LABELS_FILE} without a picture: {few(unused)}.",) if unused else ()
    return Labels(class_names, numbers, stated=True, notes=notes)


class _UnusableError(Exception):
    """Labels that a file states can't be used; the message is a clause that says which and why."""


def _by_name(labels: Any, files: ListedNames) -> dict[str, Any]:
    """Labels by the files that they are of."""
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not isinstance(pairs, list):
        raise _UnusableError(f"the labels in {LABELS_FILE} must be a list, got {_short(labels)}")
    given: dict[str, Any] = {}
    unknown: list[str] = []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise _UnusableError(
                f"each label in {LABELS_FILE} must be [file, label], got {_short(pair)}"
            )
        written, label = pair
        name = files.find(written)
        if name is None:
            unknown.append(written)
        elif name in given and given[name] != label:
            raise _UnusableError(
                f"{LABELS_FILE} has two labels for {name!r}, {_short(given[name])} and {_short(label)}"
            )
        else:
            given[name] = label
    if unknown:
        near = files.near(unknown[0])
        raise _UnusableError(
            f"{LABELS_FILE} has labels for {_noun('file', unknown)} not in the set: {few(unknown)}{near}"
        )
    return given


def _numbers(given: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Class numbers by file, and how many classes there are."""
    vectors = {name for name, label in given.items() if isinstance(label, list)}
    if vectors and len(vectors) < len(given):
        other = next(name for name in given if name not in vectors)
        raise _UnusableError(
            f"{LABELS_FILE} has a vector for {min(vectors)!r}, but a number for {other!r}"
        )
    if not given:
        raise _UnusableError(f"{LABELS_FILE} has no labels")
    length = len(next(iter(given.values()))) if vectors else 0
    values = {
        name: _position(name, label, length) if vectors else _whole(name, label)
        for name, label in given.items()
    }
    return values, length or max(values.values()) + 1


def _position(name: str, vector: list[Any], length: int) -> int:
    if len(vector) != length:
        raise _UnusableError(
            f"{LABELS_FILE} has vectors of {length} and of {len(vector)} numbers, the latter for {name!r}"
        )
    if not all(_is_number(x) and x in (0, 1) for x in vector) or sum(vector) != 1:
        raise _UnusableError(
            f"a vector in {LABELS_FILE} must be one-hot, a single 1 among zeros, "
            f"got {_short(vector)} for {name!r}"
        )
    return vector.index(1)


def _whole(name: str, label: Any) -> int:
    if not _is_number(label) or label != int(label) or not 0 <= label < MAX_CLASSES:
        raise _UnusableError(
            f"a label in {LABELS_FILE} must be a class number, 0 to {MAX_CLASSES - 1}, or a one-hot "
            f"vector, got {_short(label)} for {name!r}"
        )
    return int(label)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _files(names: Sequence[str]) -> str:
    return f"{few(names)} {'lies' if len(names) == 1 else 'lie'}"


def _noun(noun: str, names: Iterable[str]) -> str:
    return noun if len(list(names)) == 1 else f"{noun}s"


def _short(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
