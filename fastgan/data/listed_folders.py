"""Folders with a list of the attributes or the caption of every image."""

from __future__ import annotations

import csv
import hashlib
import json
import unicodedata
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastgan.data.captions import caption_spec, encode_caption
from fastgan.data.dataset import DataError
from fastgan.data.decode import Header
from fastgan.data.inputs import InputSpec
from fastgan.data.listed_names import ListedNames
from fastgan.data.task_folders import TaskFolder, read_list


class ListedFolder(TaskFolder):
    """Images that a list names; each line has one image's input, and may repeat an image."""

    def _find(self) -> list[str]:
        self._paths: dict[str, Path] = {}
        self._rows: dict[str, Tensor] = {}
        self._spec, lines = self._listed()
        listing = self._search()
        names = ListedNames((*listing.pictures, *listing.others))
        for place, written, row in lines:
            file = self._resolve(names, place, written)
            name = file if file not in self._paths else f"{file} ({place})"
            self._paths[name], self._rows[name] = self._root / file, row
        listed = {path.relative_to(self._root).as_posix() for path in self._paths.values()}
        for file in listing.pictures:
            if file not in listed:
                raise DataError(
                    f"The image {str(self._root / file)!r} is in no line of the list: add one, "
                    f"or take the image away."
                )
        if not self._paths:
            raise DataError(
                f"The list in {str(self._root)!r} must have a line for each image, got none: "
                f"write them."
            )
        return list(self._paths)

    def _resolve(self, names: ListedNames, place: str, written: str) -> str:
        """Return the file that a line names. Raises DataError unless there is exactly one."""
        try:
            name = None if written.strip().startswith(("/", "\\")) else names.find(written)
        except DataError as error:
            raise DataError(f"{place}: {error}") from None
        if name is not None:
            return name
        # Such as a hidden file.
        path = self._root / written
        if (
            written
            and ".." not in path.parts
            and path.is_relative_to(self._root)
            and path.is_file()
        ):
            return written
        raise DataError(
            f"{place} names the image {written!r}, which isn't in "
            f"{str(self._root)!r}{names.near(written)}: put it there, or take the line away."
        )

    @abstractmethod
    def _listed(self) -> tuple[InputSpec, list[tuple[str, str, Tensor]]]:
        """Read the list: the input's description, and (place, file, row) of every line."""

    def _specs(self) -> Mapping[str, InputSpec]:
        self._table = torch.stack([self._rows[name] for name in self._names])
        digest = hashlib.sha256(f"{self.fingerprint} ".encode())
        digest.update(self._table.numpy().data)
        self.fingerprint = digest.hexdigest()
        return {self._spec.kind: self._spec}

    def _files(self, name: str) -> tuple[Path, ...]:
        return (self._paths[name],)

    def _read_header(self, name: str) -> Header:
        return super()._read_header(self._paths[name].relative_to(self._root).as_posix())

    def _inputs_of(self, parts: Sequence[Tensor], indices: Tensor) -> dict[str, Tensor]:
        return {self._spec.kind: self._table[indices]}


class CaptionFolder(ListedFolder):
    """Images with captions in ``captions.jsonl``, a line ``{"file": …, "text": …}`` each.

    The vocabulary is all words of the captions, sorted.
    """

    def _listed(self) -> tuple[InputSpec, list[tuple[str, str, Tensor]]]:
        lines = list(_json_lines(self._root, "captions.jsonl", "text", str))
        spec = self._like["caption"] if self._like else caption_spec(text for _, _, text in lines)
        return spec, [(place, file, _caption_row(place, text, spec)) for place, file, text in lines]


class AttributeFolder(ListedFolder):
    """Images with attributes in ``attributes.csv`` or ``attributes.jsonl``.

    The CSV's first column is ``file``. The others are named after attributes and hold 1 (yes), 0 or
    -1 (no). A line of JSON is ``{"file": …, "attributes": [names of the image's attributes]}``.
    Attributes named ``group=value`` with the same group exclude each other, and every image has
    one of them.
    """

    def _listed(self) -> tuple[InputSpec, list[tuple[str, str, Tensor]]]:
        if (self._root / "attributes.csv").is_file():
            lines = list(_csv_lines(self._root / "attributes.csv"))
        else:
            entries = _json_lines(
                self._root, "attributes.jsonl", "attributes", list, or_else="attributes.csv"
            )
            lines = [
                (place, file, dict.fromkeys((_tidy(str(name)) for name in names), True))
                for place, file, names in entries
            ]
        names = sorted({name for _, _, has in lines for name in has})
        if lines and not names:
            raise DataError(
                f"The list in {str(self._root)!r} names no attribute: add the images' attributes."
            )
        spec = self._like["attributes"] if self._like else _attribute_spec(names)
        return spec, [(place, file, _attribute_row(place, has, spec)) for place, file, has in lines]


def _attribute_spec(names: list[str]) -> InputSpec:
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if "=" in name:
            groups.setdefault(name.split("=", 1)[0], []).append(index)
    return InputSpec(
        "attributes", names=tuple(names), groups=tuple(tuple(group) for group in groups.values())
    )


def _attribute_row(place: str, has: Mapping[str, bool], spec: InputSpec) -> Tensor:
    for name in has:
        if name not in spec.names:
            raise DataError(
                f"{place} must have attributes among {', '.join(spec.names)}, got {name!r}: "
                f"correct it."
            )
    row = [has.get(name, False) for name in spec.names]
    for group in spec.groups:
        if sum(row[index] for index in group) != 1:
            raise DataError(
                f"{place} must have exactly one of the attributes "
                f"{', '.join(spec.names[index] for index in group)}, "
                f"got {sum(row[index] for index in group)}: correct it."
            )
    return torch.tensor(row, dtype=torch.uint8)


def _caption_row(place: str, text: str, spec: InputSpec) -> Tensor:
    try:
        return encode_caption(text, spec)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None


def _json_lines(
    root: Path, name: str, key: str, kind: type, *, or_else: str | None = None
) -> Iterator[tuple[str, str, Any]]:
    path = root / name
    for number, line in enumerate(_text(path, or_else).split("\n"), start=1):
        if not line.strip():
            continue
        place = f"Line {number} of {str(path)!r}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            entry = str(error)
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("file"), str)
            or not isinstance(entry.get(key), kind)
        ):
            what = "a list" if kind is list else "a text"
            raise DataError(
                f'{place} must be {{"file": a path, "{key}": {what}}}, got {line[:60]!r}: '
                f"correct it."
            )
        yield place, entry["file"], entry[key]


def _csv_lines(path: Path) -> Iterator[tuple[str, str, dict[str, bool]]]:
    table = csv.reader(_text(path, None).split("\n"))
    header = [_tidy(cell) for cell in next(table, [])]
    names = header[1:]
    if header[:1] != ["file"] or not names or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"The first line of {str(path)!r} must be file and the names of attributes, none empty "
            f"or twice, got {','.join(header)[:60]!r}: correct it."
        )
    for cells in filter(None, table):
        place = f"Line {table.line_num} of {str(path)!r}"
        values = [cell.strip() for cell in cells[1:]]
        if len(values) != len(names) or not set(values) <= {"0", "1", "-1"}:
            raise DataError(
                f"{place} must be a file and {len(names)} values 0, 1 or -1, "
                f"got {','.join(cells)[:60]!r}: correct it."
            )
        yield (
            place,
            cells[0],
            {name: value == "1" for name, value in zip(names, values, strict=True)},
        )


def _tidy(text: str) -> str:
    """Return a name without blanks around it, in the Unicode form NFC."""
    return unicodedata.normalize("NFC", text.strip())


def _text(path: Path, or_else: str | None) -> str:
    try:
        return read_list(path)
    except FileNotFoundError:
        lists = path.name if or_else is None else f"{path.name} or {or_else}"
        raise DataError(
            f"The folder {str(path.parent)!r} must have {lists}, with a line for each image: "
            f"write it."
        ) from None
