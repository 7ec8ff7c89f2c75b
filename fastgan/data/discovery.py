"""Search of a folder for picture files: every file that Pillow opens."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from fastgan.data._optional import require
from fastgan.data.dataset import DataError

CONFIG = "config.json"
NOT_A_PICTURE = "not a picture that Pillow opens"
_QUIET_ENDINGS = frozenset(
    {".csv", ".json", ".jsonl", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml"}
)
_PACKED = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"})
_QUIET_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
# Pillow reads the size of a film and nothing else.
_NEVER_DECODED = frozenset({"MPEG"})
_RUN_KEYS = frozenset({"fastgan", "recipe", "settings", "data_fingerprint"})


@dataclass(frozen=True)
class Listing:
    """Content of a folder by kind. Names are relative to the folder, with ``/``, and sorted.

    Attributes:
        pictures: files to read.
        others: files that Pillow doesn't open, without hidden files, lists and texts.
        runs: folders of runs, which are left out with all that is in them.
        folders: first-level folders that were searched.
    """

    pictures: tuple[str, ...]
    others: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the user on folders that were left out."""
        if not self.runs:
            return ()
        what = "the folder of a run" if len(self.runs) == 1 else "folders of runs"
        return (f"Left out as {what}, whose pictures are samples: {few(self.runs)}.",)


class Folder:
    """A folder of pictures, with the interface of ``Archive``."""

    title = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, folder: str = "") -> Listing:
        """List the files under ``folder``, a folder in this one.

        Raises:
            DataError: as ``find_pictures``.
        """
        return find_pictures(self._root / folder)

    def file(self, name: str) -> Path:
        """Return the path of a file."""
        return self._root / name

    def has(self, name: str) -> bool:
        """Return True if there is a file of this name."""
        return (self._root / name).is_file()

    def text(self, name: str) -> bytes | None:
        """Return the content of a file, None if there is no file of this name.

        Raises:
            DataError: the file can't be read.
        """
        path = self._root / name
        try:
            return path.read_bytes() if path.is_file() else None
        except OSError as error:
            raise DataError(f"{str(path)!r} can't be read: {error.strerror or error}.") from error


class PictureKinds:
    """The formats that Pillow decodes here, including plugins registered earlier."""

    def __init__(self) -> None:
        self._pil: Any = require("PIL.Image", "pillow", purpose="Reading image files")
        stub = require("PIL.ImageFile", "pillow", purpose="Reading image files").StubImageFile
        self._pil.init()
        decoded = {
            name: accept
            for name, (factory, accept) in self._pil.OPEN.items()
            if name not in _NEVER_DECODED
            and not (isinstance(factory, type) and issubclass(factory, stub))
        }
        self.endings = frozenset(
            ending for ending, name in self._pil.registered_extensions().items() if name in decoded
        )
        # Formats without a signature would accept any file.
        self._signed = [name for name, accept in decoded.items() if accept is not None]

    def sort(self, name: str, open_file: Callable[[], BinaryIO]) -> bool | None:
        """Classify a file: True for a picture, False for another file, None for one to ignore.

        A known ending decides. A file with an unknown ending, or none, is opened for its header.
        """
        base = PurePosixPath(name).name.lower()
        ending = PurePosixPath(base).suffix
        if base.startswith(".") or base in _QUIET_NAMES or ending in _QUIET_ENDINGS:
            return None
        if ending in self.endings:
            return True
        try:
            with open_file() as file, self._pil.open(file, formats=self._signed):
                return True
        # Decoders raise nearly anything on foreign files.
        except Exception:
            return False

    def stem(self, name: str) -> str:
        """Return ``name`` without the ending of a picture, to match partners across formats."""
        ending = PurePosixPath(name).suffix
        return name[: -len(ending)] if ending.lower() in self.endings else name


def find_pictures(root: Path, *, leave_out: Iterable[Path] = ()) -> Listing:
    """Sort the files under ``root`` into pictures and others.

    Links are followed, each folder once. Names that begin with a dot are left out.

    Args:
        root: the folder to search.
        leave_out: folders to leave out, besides folders of runs of ``fastgan train``.

    Raises:
        DataError: the folder is missing, is a file or the folder of a run, or can't be read.
            Pillow is missing.
    """
    if not root.exists():
        raise DataError(f"The image folder {str(root)!r} doesn't exist: check the path.")
    if not root.is_dir():
        packed = root.suffix.lower() in _PACKED
        advice = "unpack it and pass the folder" if packed else "pass its folder"
        raise DataError(f"{str(root)!r} must be a folder of images, got a file: {advice}.")
    if is_run(root):
        raise DataError(
            f"{str(root)!r} must be a folder of images, got the folder of a run: "
            f"pass the folder of the images."
        )
    kinds = PictureKinds()
    pictures: list[str] = []
    others: list[str] = []
    runs: list[str] = []
    folders: set[str] = set()
    skipped = {os.path.realpath(path) for path in leave_out}
    for folder, files in _walk(root, skipped, runs):
        inside = folder.relative_to(root)
        if inside.parts:
            folders.add(inside.parts[0])
        for name in files:
            kind = kinds.sort(name, partial(_open_file, folder / name))
            kind = kind and not is_special(folder / name)
            if kind is not None:
                (pictures if kind else others).append((inside / name).as_posix())
    return Listing(*(tuple(sorted(names)) for names in (pictures, others, runs, folders)))


def is_special(path: Path) -> bool:
    """Return True if ``path`` is a pipe, socket or device, on which a reader would block."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def is_run(folder: Path) -> bool:
    """Return True if ``folder`` holds the configuration of a run of ``fastgan train``."""
    try:
        return is_run_config((folder / CONFIG).read_bytes())
    except OSError:
        return False


def is_run_config(content: bytes) -> bool:
    """Return True if a file of this content is the configuration of a run."""
    try:
        config = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.keys() >= _RUN_KEYS


def few(names: Iterable[str], most: int = 3) -> str:
    """List at most ``most`` names for a sentence: "a, b, c and 4 more"."""
    listed = list(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more:,} more" if more > 0 else "")


def _open_file(path: Path) -> BinaryIO:
    if is_special(path):
        raise FileNotFoundError(path)
    return path.open("rb")


def _walk(root: Path, leave_out: set[str], runs: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with the names of its files; append folders of runs to ``runs``."""

    def refuse(error: OSError) -> None:
        raise DataError(
            f"The image folder {str(error.filename or root)!r} can't be read "
            f"({error.strerror or error}): check its permissions."
        ) from error

    seen = {os.path.realpath(root), *leave_out}
    for name, subfolders, files in os.walk(root, onerror=refuse, followlinks=True):
        folder, fresh = Path(name), []
        for subfolder in sorted(subfolders):
            path = folder / subfolder
            real = os.path.realpath(path)
            if subfolder.startswith(".") or real in seen:
                continue
            seen.add(real)
            if is_run(path) or (path.is_symlink() and any(map(is_run, Path(real).parents))):
                runs.append(path.relative_to(root).as_posix())
            else:
                fresh.append(subfolder)
        subfolders[:] = fresh
        yield folder, files
