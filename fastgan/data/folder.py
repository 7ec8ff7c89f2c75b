"""A folder of images as a data set."""

from __future__ import annotations

import hashlib
import io
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar, TypeVar

import torch
from torch import Tensor

from fastgan.data.archive import Archive, Member
from fastgan.data.dataset import (
    MAX_RESOLUTION,
    MIN_RESOLUTION,
    DataError,
    ImageDataset,
    check_channels,
    check_resolution,
)
from fastgan.data.decode import DEFAULT, Header, decode_image, image_header, unreadable_reason
from fastgan.data.discovery import NOT_A_PICTURE, Folder, Listing, few
from fastgan.data.labels import Labels, find_labels
from fastgan.data.levels import (
    Levels,
    Span,
    joined,
    levels_for,
    levels_note,
    parse_range,
    span_of,
    unusual,
)
from fastgan.data.reading import Reading, crop_note
from fastgan.names import printable

CACHE_LIMIT = 1 << 30
"""Largest size of uint8 pixels for which a folder is decoded once and kept in memory (1 GiB)."""

_HEADER_BYTES = 1 << 16
_CHUNK = 256
SCANNED = 500
"""Number of files of more than 8 bits whose values are examined in a set too large to keep."""
_T = TypeVar("_T")


class FolderDataset(ImageDataset):
    """Every file in a folder or zip archive that Pillow opens, sorted by path.

    ``decode_image`` makes the first frame of each file a square image. Folders of runs are left
    out.

    A ``dataset.json`` in the folder states the classes, as in StyleGAN data sets (see
    ``find_labels``). Without one the class of an image is its first-level sub-folder. If any image
    lies in the folder itself, the set has no labels.

    A set of up to ``cache_limit`` bytes of pixels is decoded at opening and kept as uint8, which
    leaves out corrupt files before training starts. Opening a larger set reads only the headers,
    and images are decoded on demand. The next readable image of the same class then replaces a
    corrupt one. ``skipped`` lists the files left out, and a UserWarning names some of them.

    ``fingerprint`` covers names, order, resolution, channels, stated labels and the files' bytes.
    Of a set too large to keep it covers the files' sizes and first 64 KiB.

    Args:
        root: the folder, or a file that ends in ``.zip`` (see ``Archive``).
        resolution: 4 to 4096. None means the shorter side of the first readable image, or its
            longer side if it is padded.
        channels: 1 or 3, or 2 or 4 to keep alpha. None means 1 if every file is stored as grey,
            else 3.
        cache_limit: largest size of the decoded set in bytes for keeping it in memory.
        reading: settings for reading picture files.

    Raises:
        DataError: the folder is missing, a file, unreadable or without readable images. An argument
            is out of range. Pillow is missing.
    """

    # Phrases for the folders of an image's files.
    _places: ClassVar[tuple[str, ...]] = ("",)

    def __init__(
        self,
        root: Path,
        *,
        resolution: int | None = None,
        channels: int | None = None,
        cache_limit: int = CACHE_LIMIT,
        reading: Reading = DEFAULT,
    ) -> None:
        if resolution is not None:
            check_resolution(resolution)
        if channels is not None:
            check_channels(channels, alpha=True)
        self._root, self._reading = Path(root), reading
        archived = self._root.suffix.lower() == ".zip" and not self._root.is_dir()
        self._source: Folder | Archive = Archive(self._root) if archived else Folder(self._root)
        self.name = printable(self._root.resolve().name or self._root)
        self._reasons: dict[str, str] = {}
        self._notes: list[str] = []
        self._warning, self._warnings, self._reported = threading.Lock(), 0, frozenset[str]()
        self._opened = False
        headers = dict(self._try_each(self._header, self._find()))
        self._names = list(headers)
        self._require_any()
        first, _ = headers[self._names[0]]
        self.resolution = (
            self._native(first.width, first.height) if resolution is None else resolution
        )
        all_grey = all(header.grey for header, _ in headers.values())
        self.channels = (1 if all_grey else 3) if channels is None else channels

        digests = {name: digest for name, (_, digest) in headers.items()}
        self._cache: list[Tensor] | None = None
        keep = len(self._names) * sum(math.prod(shape) for shape in self._shapes()) <= cache_limit
        self._levels = self._find_levels([header for header, _ in headers.values()], keep)
        self.levels = self._levels[0]
        if keep:
            digests = self._decode_all()
            self._require_any()
        labels = self._classes()
        self.class_names, self.num_classes = labels.class_names, len(labels.class_names)
        self.unlabelled, self._labels = labels.missing, labels.numbers
        self._notes += labels.notes
        listing = "\n".join(f"{digests[name]} {name}" for name in self._names)
        if labels.stated:
            listing += f"\nlabels {self.num_classes} {self._labels.tolist()}"
        note = (
            crop_note(headers[name][0][:2] for name in self._names) if reading.fit == "crop" else ""
        )
        self._notes += [note] if note else []
        settings = "".join(
            f" {part}" for part in (reading.identity, *map(unusual, self._levels)) if part
        )
        identity = f"{self.channels} {self.resolution}{settings}\n{listing}"
        self.fingerprint = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
        self._warn_once()
        self._opened = True

    def __len__(self) -> int:
        return len(self._names)

    def image(self, i: int) -> Tensor:
        return self.batch(torch.tensor([i]))[0][0]

    def label(self, i: int) -> int:
        self._check_index(i)
        return int(self._labels[i])

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.examples(indices)[:2]

    def batch_inputs(self, indices: Tensor) -> dict[str, Tensor]:
        return self.examples(indices)[2]

    def examples(self, indices: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        wanted = self._checked(indices)
        if self._cache is not None:
            parts = [cached[indices] for cached in self._cache]
            return parts[0], self._labels[indices], self._inputs_of(parts[1:], indices)
        # Needs no threads of its own, since BatchLoader's threads call it for parts of a batch.
        parts = [torch.empty(len(wanted), *shape, dtype=torch.uint8) for shape in self._shapes()]
        used = indices.clone()
        for row, i in enumerate(wanted):
            used[row], decoded = self._first_readable(i)
            for part, value in zip(parts, decoded, strict=True):
                part[row] = value
        self._warn_once()
        return parts[0], self._labels[indices], self._inputs_of(parts[1:], used)

    # -- methods that folders of images with inputs override (see task_folders) ------------------

    def _find(self) -> list[str]:
        """Return the names of the images, in order and without duplicates."""
        listing = self._search()
        if not listing.pictures:
            others = few((*listing.others, *(f"the run {run}" for run in listing.runs)))
            raise DataError(
                f"The {self._source.title} {str(self._root)!r} must hold images, "
                f"got {f'only {others}' if others else 'none'}: add pictures of any kind that "
                f"Pillow opens, in sub-folders or not."
            )
        self._listing = listing
        return list(listing.pictures)

    def _files(self, name: str) -> tuple[Path | Member, ...]:
        """Return the files that an image and its inputs are decoded from."""
        return (self._source.file(name),)

    def _read_header(self, name: str) -> Header:
        """Return size and kinds of an image's files without decoding them."""
        file = self._source.file(name)
        if isinstance(file, Path):
            return image_header(file)
        try:
            return image_header(io.BytesIO(file.head(_HEADER_BYTES)))
        # Some formats have the header at the end.
        except Exception:
            return image_header(io.BytesIO(file.read_bytes()))

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the uint8 tensors that ``_decode`` returns."""
        return ((self.channels, self.resolution, self.resolution),)

    def _decode(self, name: str, sources: Sequence[Path | BinaryIO]) -> tuple[Tensor, ...]:
        """Decode the image, then its inputs, from the files of ``_files`` or their content."""
        return (self._picture(sources[0]),)

    def _classes(self) -> Labels:
        return find_labels(self._source, self._listing, self._names)

    def _inputs_of(self, parts: Sequence[Tensor], indices: Tensor) -> dict[str, Tensor]:
        """Return inputs by name.

        Args:
            parts: decoded inputs.
            indices: indices of their images, int64 ``[N]``.
        """
        return {}

    def _search(self, folder: str = "") -> Listing:
        """List the files under a folder of the set; record those that are left out."""
        listing = self._source.find(folder)
        self._reasons |= {
            f"{folder}/{name}" if folder else name: NOT_A_PICTURE for name in listing.others
        }
        self._notes += listing.notes
        return listing

    # -- opening -------------------------------------------------------------------------------

    def _header(self, name: str) -> tuple[Header, str]:
        digest = hashlib.sha256()
        for file in self._files(name):
            head, size = _beginning(file)
            digest.update(head)
            digest.update(str(size).encode())
        return self._read_header(name), digest.hexdigest()

    def _find_levels(self, headers: Sequence[Header], keep: bool) -> list[Levels]:
        """Choose the levels of images and of their inputs; note those chosen by values."""
        levels: list[Levels] = []
        parts = len(headers[0].kinds)
        for part in range(parts):
            kinds = [header.kinds[part] for header in headers]
            known = {level[0]: level for level in self._reading.known(part)}
            names = [
                name
                for name, kind in zip(self._names, kinds)
                if kind is not None and kind not in known
            ]
            if names and not keep:
                names = [
                    names[i] for i in sorted({k * len(names) // SCANNED for k in range(SCANNED)})
                ]
            spans = self._try_each(partial(self._span, part=part), names)
            for span in joined(span for _, span in spans):
                self._notes.append(levels_note(span, self._places[part] if parts > 1 else ""))
                known[span.kind] = (span.kind, *levels_for(span))
            levels.append(tuple(known[kind] for kind in sorted(known) if kind in kinds))
        if parse_range(self._reading.range) and not any(
            kind for header in headers for kind in header.kinds
        ):
            self._notes.append(
                "`range` changes nothing, since no picture has more than 8 bits per value."
            )
        return levels

    def _span(self, name: str, *, part: int) -> Span | None:
        file = self._files(name)[part]
        return span_of(file if isinstance(file, Path) else io.BytesIO(file.read_bytes()))

    def _picture(self, source: Path | BinaryIO, part: int = 0) -> Tensor:
        return decode_image(
            source, self.resolution, self.channels, reading=self._reading, levels=self._levels[part]
        )

    def _decode_all(self) -> dict[str, str]:
        """Fill ``_cache`` and return the SHA-256 of the files of every image that decodes."""

        def decode(name: str) -> tuple[tuple[Tensor, ...], str]:
            digest = hashlib.sha256()
            contents = [file.read_bytes() for file in self._files(name)]
            for content in contents:
                digest.update(content)
            return self._decode(
                name, [io.BytesIO(content) for content in contents]
            ), digest.hexdigest()

        cache = [
            torch.empty(len(self._names), *shape, dtype=torch.uint8) for shape in self._shapes()
        ]
        digests: dict[str, str] = {}
        for name, (decoded, digest) in self._try_each(decode, self._names):
            for tensor, value in zip(cache, decoded, strict=True):
                tensor[len(digests)] = value
            digests[name] = digest
        self._names = list(digests)
        self._cache = [tensor[: len(digests)] for tensor in cache]
        return digests

    def _try_each(
        self, function: Callable[[str], _T], names: Sequence[str]
    ) -> Iterator[tuple[str, _T]]:
        """Yield ``(name, function(name))`` in order; record names for which it fails."""

        def attempt(name: str) -> tuple[_T] | None:
            try:
                return (function(name),)
            except DataError:
                raise
            # Decoders raise nearly anything on broken files.
            except Exception as error:
                self._reasons[name] = unreadable_reason(error)
                return None

        with _threads() as pool:
            # In chunks, so that the workers don't run ahead and hold every image.
            for start in range(0, len(names), _CHUNK):
                chunk = names[start : start + _CHUNK]
                for name, result in zip(chunk, pool.map(attempt, chunk)):
                    if result is not None:
                        yield name, result[0]

    def _require_any(self) -> None:
        if not self._names:
            broken = [entry for entry in self.skipped if not entry.endswith(NOT_A_PICTURE)]
            all_of_them = (
                f"The only image in {str(self._root)!r} can't be read ({broken[0]})"
                if len(broken) == 1
                else f"None of the {len(broken):,} images in {str(self._root)!r} can be read (the "
                f"first: {broken[0]})"
            )
            raise DataError(f"{all_of_them}: use a folder with intact images.")

    def _native(self, width: int, height: int) -> int:
        padded = self._reading.fit == "pad"
        side = max(width, height) if padded else min(width, height)
        if MIN_RESOLUTION <= side <= MAX_RESOLUTION:
            return side
        raise DataError(
            f"The first image of {str(self._root)!r}, {self._names[0]!r}, is {width}x{height}, "
            f"whose {'longer' if padded else 'shorter'} side can't be the resolution "
            f"({MIN_RESOLUTION} to {MAX_RESOLUTION}): set the resolution."
        )

    # -- corrupt files -------------------------------------------------------------------------

    @property
    def skipped(self) -> tuple[str, ...]:
        # A copy, since other threads may add to it.
        reasons = self._reasons.copy()
        return tuple(f"{name}: {reason}" for name, reason in sorted(reasons.items()))

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    @property
    def in_memory(self) -> bool:
        return self._cache is not None

    def _first_readable(self, i: int) -> tuple[int, tuple[Tensor, ...]]:
        """Decode image ``i``, or else the next readable one of its class; return its index too."""
        count = len(self._names)
        for j in ((i + step) % count for step in range(count)):
            name = self._names[j]
            if name in self._reasons or self._labels[j] != self._labels[i]:
                continue
            try:
                sources = [
                    file if isinstance(file, Path) else io.BytesIO(file.read_bytes())
                    for file in self._files(name)
                ]
                return j, self._decode(name, sources)
            except DataError:
                raise
            except Exception as error:
                self._reasons[name] = unreadable_reason(error)
        raise DataError(
            f"No image of the class of {self._names[i]!r} in {str(self._root)!r} can be read: "
            f"use a folder with intact images."
        )

    def _warn_once(self) -> None:
        """Warn of unreadable files: once at opening, and once later."""
        with self._warning:
            fresh = [entry for entry in self.skipped if entry not in self._reported]
            if not fresh or self._warnings == 2:
                return
            self._warnings = 1 + bool(self._opened)
            self._reported = frozenset(self.skipped)
        noun = "file" if len(fresh) == 1 else "files"
        warnings.warn(
            f"{len(fresh):,} unreadable {noun} of {str(self._root)!r} left out: {few(fresh)}.",
            stacklevel=3,
        )


def _beginning(file: Path | Member) -> tuple[bytes, int]:
    """Return the first bytes of a file, and its size."""
    if not isinstance(file, Path):
        return file.head(_HEADER_BYTES), file.size
    with file.open("rb") as opened:
        return opened.read(_HEADER_BYTES), os.fstat(opened.fileno()).st_size


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(8, os.cpu_count() or 1))
