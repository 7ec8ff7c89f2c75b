"""Zip archives of pictures, read in place."""

from __future__ import annotations

import io
import os
import struct
import weakref
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fastgan.data.dataset import DataError
from fastgan.data.discovery import CONFIG, Listing, PictureKinds, is_run_config
from fastgan.data.labels import LABELS_FILE

_LOCAL_HEADER = 30
_LOCAL_START = b"PK\3\4"
# Bytes in which to look for the header of a file without a known ending.
_PROBE = 1 << 24
_ENCRYPTED = 1


class Archive:
    """A zip archive whose members are stored or deflated.

    It is opened once. Threads and forked processes share the handle, since each read passes its
    offset. Names begin inside the folder that holds all pictures, if there is one.

    Args:
        path: the file.

    Raises:
        DataError: the file is missing, damaged, encrypted, or compressed in another way.
    """

    title = "archive"
    """Noun for messages."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,
            struct.error,
            EOFError,
        ) as error:
            raise DataError(
                f"The archive {str(path)!r} can't be read as a zip file ({error}): it may be "
                f"incomplete or damaged; fetch or make it again."
            ) from error
        except OSError as error:
            raise DataError(
                f"The archive {str(path)!r} can't be read ({error.strerror or error}): check the "
                f"path and its permissions."
            ) from error
        weakref.finalize(self, os.close, self._handle)
        self._members = {
            name.replace("\\", "/").removeprefix("./"): info
            for name, info in infos.items()
            if not any(
                part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts
            )
        }
        for info in self._members.values():
            self._check(info)
        self._listing = self._sort()

    def find(self, folder: str = "") -> Listing:
        """List the members by kind; ``folder`` is ignored."""
        return self._listing

    def file(self, name: str) -> Member:
        """Return the member of this name."""
        return Member(self, self._members[name])

    def has(self, name: str) -> bool:
        """Return True if there is a member of this name."""
        return name in self._members

    def text(self, name: str) -> bytes | None:
        """Return the content of a member, None if there is no member of this name.

        Raises:
            DataError: the member is damaged.
        """
        if name not in self._members:
            return None
        try:
            return self.file(name).read_bytes()
        except ValueError as error:
            raise DataError(
                f"{name!r} in the archive {str(self._path)!r} can't be read: {error}."
            ) from error

    def read(self, info: zipfile.ZipInfo, limit: int | None = None) -> bytes:
        """Read the first ``limit`` bytes of a member, or all of it and verify the checksum.

        Raises:
            ValueError: the content is damaged.
        """
        header = self._at(info.header_offset, _LOCAL_HEADER)
        if header[:4] != _LOCAL_START:
            raise ValueError("damaged, not where the archive's index says")
        name, extra = struct.unpack_from("<HH", header, 26)
        start = info.header_offset + _LOCAL_HEADER + name + extra
        wanted = info.file_size if limit is None else min(limit, info.file_size)
        if info.compress_type == zipfile.ZIP_STORED:
            content = self._at(start, wanted)
        else:
            packed = info.compress_size if limit is None else min(info.compress_size, limit + 4096)
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
                    self._at(start, packed), max(1, wanted)
                )
            except zlib.error as error:
                raise ValueError("damaged, can't be inflated") from error
        if limit is None and (len(content) != wanted or zlib.crc32(content) != info.CRC):
            raise ValueError("damaged, its checksum doesn't fit")
        return content

    def _at(self, offset: int, length: int) -> bytes:
        return os.pread(self._handle, length, offset)

    def _check(self, info: zipfile.ZipInfo) -> None:
        if info.flag_bits & _ENCRYPTED:
            raise DataError(
                f"{info.filename!r} in the archive {str(self._path)!r} is encrypted: unpack it "
                f"with its password and pass the folder."
            )
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(
                f"{info.filename!r} in the archive {str(self._path)!r} must be stored or deflated, "
                f"got compression method {info.compress_type}: pack it again, or unpack it and "
                f"pass the folder."
            )

    def _sort(self) -> Listing:
        kinds = PictureKinds()
        runs = sorted(
            str(PurePosixPath(name).parent)
            for name in self._members
            if PurePosixPath(name).name == CONFIG and is_run_config(self._probe(name))
        )
        pictures: list[str] = []
        others: list[str] = []
        for name in self._members:
            if any(run == "." or name.startswith(f"{run}/") for run in runs):
                continue
            kind = kinds.sort(name, partial(self._open_probe, name))
            if kind is not None:
                (pictures if kind else others).append(name)
        folder = self._only_folder(pictures)
        self._members = {name.removeprefix(folder): info for name, info in self._members.items()}
        inside = [
            sorted(name.removeprefix(folder) for name in names)
            for names in (pictures, others, runs)
        ]
        folders = sorted(
            {name.split("/", 1)[0] for names in inside[:2] for name in names if "/" in name}
        )
        return Listing(*map(tuple, (*inside, folders)))

    def _only_folder(self, pictures: list[str]) -> str:
        """Return the top-level folder that holds all pictures, with its ``/``, else ``""``."""
        tops = {name.split("/", 1)[0] if "/" in name else "" for name in pictures}
        top = tops.pop() if len(tops) == 1 and LABELS_FILE not in self._members else ""
        return f"{top}/" if top else ""

    def _probe(self, name: str) -> bytes:
        return self.read(self._members[name], _PROBE)

    def _open_probe(self, name: str) -> BinaryIO:
        return io.BytesIO(self._probe(name))


@dataclass(frozen=True)
class Member:
    """A file in an archive, with the methods of a path that data sets use."""

    archive: Archive
    """The archive."""
    info: zipfile.ZipInfo
    """Entry of the file in the archive's index."""

    @property
    def size(self) -> int:
        """Size of the content in bytes."""
        return self.info.file_size

    def head(self, limit: int) -> bytes:
        """Read the first ``limit`` bytes."""
        return self.archive.read(self.info, limit)

    def read_bytes(self) -> bytes:
        """Read the content.

        Raises:
            ValueError: the content is damaged.
        """
        return self.archive.read(self.info)
