"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def write_atomic(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write `parts` to a file, of which a crash or a full disk never leaves a half.

    They go to a temporary file beside `path`, which is synced to the disk and renamed. Each process
    has one of its own, so the last of several to finish wins.

    Raises:
        OSError: the file can't be written. An older one stays, and the temporary one is removed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def is_temporary(name: str, path: Path) -> bool:
    """Return True for the name of a temporary file of `write_atomic` for `path`."""
    return re.fullmatch(rf"\.{re.escape(path.name)}\.\d+\.tmp", name) is not None


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut, if the system offers that (POSIX)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
