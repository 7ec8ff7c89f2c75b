"""Class labels of pictures from folders or from the ``dataset.json`` of a StyleGAN data set."""

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
"""Name of the file that states labels."""
MAX_CLASSES = 1 << 16
"""Largest number of classes."""
_INTEGER = re.compile(r"[+-]?[0-9]+")


class Labels(NamedTuple):
    """Classes of a set's pictures.

    Attributes:
        class_names: one per class, in the order of their numbers; empty without labels.
        numbers: int64 ``[N]``, 0 without labels.
        missing: clause that says why there are no labels where a user may expect some.
        stated: True if a file states the labels, so that the pictures' names don't imply them.
        notes: lines for the user on the source of the labels.
    """

    class_names: tuple[str, ...]
    numbers: Tensor
    missing: str = ""
    stated: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def none(cls, count: int, missing: str = "") -> Labels:
        """Return no labels for ``count`` pictures."""
        return cls((), torch.zeros(count, dtype=torch.int64), missing)


class Source(Protocol):
    """Files of a set, in a folder or an archive."""

    def has(self, name: str) -> bool:
        """Return True if there is a file of this name."""

    def text(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is none."""


def find_labels(source: Source, listing: Listing, names: Sequence[str]) -> Labels:
    """Find the classes of pictures in ``dataset.json``, or else by their folders.

    Args:
        source: files of the set.
        listing: their names by kind.
        names: N pictures in the set.

    Returns:
        Labels of the N pictures.

    Raises:
        DataError: the file can't be read as JSON.
    """
    notes = []
    if (text := source.text(LABELS_FILE)) is not None:
        stated = stated_labels(text, names, (*listing.pictures, *listing.others))
        if stated is not None:
            return stated
        notes.append(f"{LABELS_FILE} has no labels and is ignored: the folders are the classes.")
    if nested := [
        f"{f}/{LABELS_FILE}" for f in listing.folders if source.has(f"{f}/{LABELS_FILE}")
    ]:
        notes.append(f"{few(nested)} is ignored: open its folder to use its labels.")
    labels = folder_labels(names)
    used = {name.split("/", 1)[0] for name in (*names, *listing.runs)}
    empty = [folder for folder in listing.folders if folder not in used]
    if empty and labels.class_names:
        notes.append(f"Not a class, since no picture in it can be read: {few(empty)}.")
    return labels._replace(notes=tuple(notes))


def folder_labels(names: Sequence[str]) -> Labels:
    """Use first-level folders as classes, or no labels if a picture lies beside the folders."""
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
    """Sort class names by value if all are integers, else by code point."""
    ordered = sorted(names)
    if all(map(_INTEGER.fullmatch, ordered)):
        ordered.sort(key=int)
    return tuple(ordered)


def class_number(name: str, class_names: Sequence[str], num_classes: int) -> int:
    """Return the number of a class.

    A name takes precedence over a number. Numbers count from 0; they aren't accepted where the
    names are integers themselves.

    Args:
        name: name or number of the class.
        class_names: names in the order of the numbers; empty where none are known.
        num_classes: number of classes.

    Returns:
        The number, ``0 .. num_classes - 1``.

    Raises:
        DataError: there is no such class; the message suggests the nearest one and lists all.
    """
    if name in class_names:
        return class_names.index(name)
    numbered = not class_names or not all(map(_INTEGER.fullmatch, class_names))
    if numbered and _INTEGER.fullmatch(name) and 0 <= int(name) < num_classes:
        return int(name)
    numbers = f"0 to {num_classes - 1}" if num_classes > 1 else "0"
    if not class_names:
        raise DataError(f"The class must be a number, {numbers}, got {name!r}.")
    folded = {known.casefold(): known for known in reversed(class_names)}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.4)
    hint = f"Did you mean {folded[near[0]]!r}? " if near else ""
    choices = few(class_names, 20) + (f", or a number, {numbers}" if numbered else "")
    raise DataError(f"There is no class {name!r}. {hint}The classes are {choices}.")


def stated_labels(text: bytes, names: Sequence[str], present: Iterable[str]) -> Labels | None:
    """Read the labels that a StyleGAN data set states.

    The file is ``{"labels": [[name, label], ...]}``, or has null for the labels. A label is a class
    number or a one-hot vector.

    Args:
        text: content of the file.
        names: pictures in the set.
        present: files that lie beside them, pictures or not.

    Returns:
        The labels, or None for a file that is something else. If the file states no usable labels,
        they have no classes, and ``missing`` says why.

    Raises:
        DataError: the content isn't JSON.
    """
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"The file {LABELS_FILE} beside the images can't be read as JSON ({error}): "
            f"correct it, or take it away to use folders as classes."
        ) from error
    if not isinstance(content, dict) or "labels" not in content:
        return None
    if content["labels"] is None:
        return Labels.none(len(names), f"{LABELS_FILE} says null for the labels")
    try:
        labels = _by_name(content["labels"], ListedNames((*present, *names)))
        if unlabelled := [name for name in names if labels.get(name) is None]:
            raise _UnusableError(f"{LABELS_FILE} has no label for {few(unlabelled)}")
        values, count = _numbers(labels)
    except _UnusableError as error:
        return Labels.none(len(names), str(error))
    class_names = tuple(map(str, range(count)))
    numbers = torch.tensor([values[name] for name in names])
    used = set(numbers.tolist())
    unused = [name for number, name in enumerate(class_names) if number not in used]
    notes = (f"Classes of {LABELS_FILE} without a picture: {few(unused)}.",) if unused else ()
    return Labels(class_names, numbers, stated=True, notes=notes)


class _UnusableError(Exception):
    """Stated labels that can't be used; the message is a clause that says which and why."""


def _by_name(labels: Any, files: ListedNames) -> dict[str, Any]:
    """Return the labels by file name."""
    pairs = list(labels.items()) if isinstance(labels, dict) else labels
    if not isinstance(pairs, list):
        raise _UnusableError(f"the labels in {LABELS_FILE} must be a list, got {_short(labels)}")
    by_name: dict[str, Any] = {}
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
        elif name in by_name and by_name[name] != label:
            raise _UnusableError(
                f"{LABELS_FILE} has two labels for {name!r}, "
                f"{_short(by_name[name])} and {_short(label)}"
            )
        else:
            by_name[name] = label
    if unknown:
        near = files.near(unknown[0])
        raise _UnusableError(
            f"{LABELS_FILE} has labels for {_noun('file', unknown)} not in the set: "
            f"{few(unknown)}{near}"
        )
    return by_name


def _numbers(labels: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Return class numbers by file, and the number of classes."""
    vectors = {name for name, label in labels.items() if isinstance(label, list)}
    if vectors and len(vectors) < len(labels):
        other = next(name for name in labels if name not in vectors)
        raise _UnusableError(
            f"{LABELS_FILE} has a vector for {min(vectors)!r}, but a number for {other!r}"
        )
    if not labels:
        raise _UnusableError(f"{LABELS_FILE} has no labels")
    length = len(next(iter(labels.values()))) if vectors else 0
    values = {
        name: _position(name, label, length) if vectors else _whole(name, label)
        for name, label in labels.items()
    }
    return values, length or max(values.values()) + 1


def _position(name: str, vector: list[Any], length: int) -> int:
    if len(vector) != length:
        raise _UnusableError(
            f"{LABELS_FILE} has vectors of {length} and of {len(vector)} numbers, the latter for "
            f"{name!r}"
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
            f"a label in {LABELS_FILE} must be a class number, 0 to {MAX_CLASSES - 1}, or a "
            f"one-hot vector, got {_short(label)} for {name!r}"
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
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
